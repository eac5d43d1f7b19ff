"""A synthetic corpus in brat's form: clinical concepts that nest, overlap and have fragments."""

import random
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Dict, List, Tuple

from ..corpora import brat
from ..corpora.records import Mention, Record, Relation
from .grammar import Grammar, Phrase, Span, load_grammar
from .layout import Stretch, lay_out
from .outline import OWN_LINE, Block, Item, outline

CONTENTS = TRAIN, TEST = ("train", "test")
KINDS = {"discharge": 6, "physician": 3, "nursing": 1}
TEST_SHARE = 0.25
# Files written on Windows, in which a line end is two characters.
CARRIAGE_RETURNS = 0.1
# Behind a label: the next span of this label is the mention's next fragment.
GOES_ON = "+"


def make_record(number: int, seed: int) -> Record:
    """Make a document; it depends on the seed and its number alone.

    Problems, treatments and tests, inside them mentions of anatomy, each with a relation `At` to it; two findings that
    share their place, so that the first has fragments and both overlap.

    number (int): number of the document, from 1; every fourth is for test and draws also on what is held out.
    seed (int): seed of the corpus.
    RETURNS (Record): the document; its id begins with its folder.
    """
    rng = random.Random(f"brat {seed} {number}")
    folder = TEST if number % round(1 / TEST_SHARE) == 0 else TRAIN
    grammar = load_grammar(surrogates=True, held_out=folder == TEST)
    blocks = outline(rng.choices(list(KINDS), list(KINDS.values()))[0], grammar, rng)
    findings = tuple(Item("", _two_findings(grammar, rng)) for _ in range(rng.randint(0, 3)))
    if findings:
        blocks.append(Block(Phrase("Findings"), "physical_exam", findings, after=OWN_LINE, flow=False))
    note = lay_out(blocks)
    mentions = mentions_of(note.concepts)
    relations: List[Relation] = []
    for start, end in sorted(set(_anatomy(note.text, mentions, grammar))):
        for index, mention in enumerate(mentions):
            if any(left <= start and end <= right for left, right in mention.fragments):
                relations.append(Relation(index, len(mentions), "At"))
                break
        mentions.append(Mention(((start, end),), "anatomy"))
    record = Record(f"{folder}/record-{number}", note.text, tuple(mentions), tuple(relations))
    return _with_carriage_returns(record) if rng.random() < CARRIAGE_RETURNS else record


def write_brat(folder: Path, records: Iterator[Record]) -> None:
    """Write a corpus as .txt and .ann files in `train/` and `test/`.

    folder (Path): an existing folder.
    records (Iterator[Record]): documents, as `make_record` gives them.
    """
    brat.write(records, folder)


def mentions_of(stretches: Iterable[Stretch]) -> List[Mention]:
    """Make mentions of labelled stretches.

    stretches (Iterable[Stretch]): in order; one whose label ends in `+` goes on in the next of that label.
    RETURNS (List[Mention]): a mention for each stretch that continues no other.
    """
    mentions: List[Mention] = []
    begun: Dict[str, Tuple[int, int]] = {}
    for start, end, label in stretches:
        if label.endswith(GOES_ON):
            begun[label.removesuffix(GOES_ON)] = (start, end)
        else:
            before = (begun.pop(label),) if label in begun else ()
            mentions.append(Mention((*before, (start, end)), label))
    return mentions


def _two_findings(grammar: Grammar, rng: random.Random) -> Phrase:
    first, second, side, place = (grammar.expand(rule, rng).text for rule in ("local", "local", "side", "place"))
    text = f"{first} and {second} of the {side} {place}"
    shared = len(first) + len(" and ") + len(second) + 1
    spans = [Span(0, len(first), f"problem{GOES_ON}"), Span(shared, len(text), "problem")]
    return Phrase(f"{text}.", (*spans, Span(len(first) + len(" and "), len(text), "problem")))


def _anatomy(text: str, mentions: Iterable[Mention], grammar: Grammar) -> Iterator[Tuple[int, int]]:
    for mention in mentions:
        for start, end in mention.fragments:
            for match in _places(grammar.held_out).finditer(text, start, end):
                yield match.span()


@cache
def _places(held_out: bool) -> "re.Pattern[str]":
    rules = load_grammar(surrogates=True, held_out=held_out).rules
    names = [name.removeprefix("*") for rule in ("place", "organ", "region") for name in rules[rule]]
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(r"\b(?:" + "|".join(re.escape(name).replace(r"\ ", r"\s+") for name in longest_first) + r")\b")


def _with_carriage_returns(record: Record) -> Record:
    def at(place: int) -> int:
        return place + record.text.count("\n", 0, place)

    mentions = tuple(
        mention._replace(fragments=tuple((at(start), at(end)) for start, end in mention.fragments))
        for mention in record.mentions
    )
    return Record(record.id, record.text.replace("\n", "\r\n"), mentions, record.relations)
