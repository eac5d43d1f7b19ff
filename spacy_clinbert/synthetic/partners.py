"""Discharge summaries as the challenges of 2006 and 2008 give them, which Partners HealthCare provided."""

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Dict, List, Sequence

from .grammar import Grammar, Phrase, joined
from .outline import Block, Item

# Now and then, punctuation is left where it was, so that a mention is glued to it.
GLUED = 0.03
REPORT_END = Phrase("[ report_end ]")
_TOKEN = re.compile(r"(?:[A-Za-z]\.){2,}|Dr\.|M[rs]+\.|Jr\.|\b[A-Z]\.|\w+(?:[-'./:&]\w+)*%?|\S")


def stated(blocks: Sequence[Block], categories: Sequence[str], phrase: Phrase, rng: random.Random) -> List[Block]:
    """Add a sentence or list item at the end of a section.

    blocks (Sequence[Block]): the note's blocks; one of the categories must be among them.
    categories (Sequence[str]): the sections it may stand in.
    phrase (Phrase): what to add.
    rng (random.Random): the source of all choices.
    RETURNS (List[Block]): the blocks with it.
    """
    place = rng.choice([at for at, block in enumerate(blocks) if block.category in categories and block.items])
    block = blocks[place]
    mark = f"{len(block.items) + 1}. " if block.items[0].mark == "1. " else block.items[0].mark
    return [*blocks[:place], replace(block, items=(*block.items, Item(mark, phrase))), *blocks[place + 1 :]]


def tokenised(blocks: Sequence[Block], grammar: Grammar, rng: random.Random) -> Phrase:
    """Print a summary as in 2006: a sentence a line, tokens apart, titles in capitals on lines of their own.

    blocks (Sequence[Block]): the note's blocks.
    grammar (Grammar): what fills head and end.
    rng (random.Random): the source of all choices.
    RETURNS (Phrase): the text, with a line feed at both ends, and its spans.
    """
    text = Phrase("")
    for line in _lines(blocks, grammar, rng):
        text = joined(text, "\n", spaced(line, rng))
    return joined(text, "\n", Phrase(""))


def spaced(phrase: Phrase, rng: random.Random) -> Phrase:
    """Set blanks between the tokens of a phrase.

    phrase (Phrase): the phrase; rng (random.Random): draws where a blank is left out.
    RETURNS (Phrase): the text and the spans in it.
    """
    text = ""
    places: Dict[int, int] = {}
    for token in _TOKEN.finditer(phrase.text):
        glued = phrase.text[token.start() - 1 : token.start()].strip() and rng.random() < GLUED
        text += "" if glued or not text else " "
        places |= {token.start() + at: len(text) + at for at in range(len(token[0]))}
        text += token[0]
    spans = [span._replace(start=places[span.start], end=places[span.end - 1] + 1) for span in phrase.spans]
    return Phrase(text, tuple(spans))


def _lines(blocks: Sequence[Block], grammar: Grammar, rng: random.Random) -> Iterator[Phrase]:
    for rule in ("phi_number", "phi_site", "phi_unit", "phi_stamp"):
        yield grammar.expand(rule, rng)
    yield Phrase("Discharge Summary")
    yield grammar.expand("phi_head", rng)
    for block in blocks:
        if block.title is not None:
            title = joined(block.title, " :", Phrase(""))
            yield joined(
                Phrase(block.mark), "", title._replace(text=title.text.upper() if not block.mark else title.text)
            )
        for item in block.items:
            yield joined(Phrase(item.mark), "", item.phrase)
    for rule in ("phi_referral", "phi_closing", "phi_closing"):
        yield grammar.expand(rule, rng)
    yield REPORT_END
