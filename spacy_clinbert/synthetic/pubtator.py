"""A synthetic corpus in the form of PubTator, as BC5CDR ships, with that form's traps."""

import random
from pathlib import Path
from typing import Iterator, List, Tuple

from ..corpora.pubtator import native_lines
from ..corpora.records import Mention, Record, Relation
from .grammar import load_templates
from .shipped import shipped_split, split_files

FILES = {
    "train": "CDR_TrainingSet.PubTator.txt",
    "dev": "CDR_DevelopmentSet.PubTator.txt",
    "test": "CDR_TestSet.PubTator.txt",
}
CONTENTS = tuple(FILES.values())
RULES = ("summary", "history", "history", "course", "course", "course", "results")
LABELS = ("problem", "treatment")
NO_ABSTRACT, OFF_BY_ONE, TRAILING_TAB = 0.01, 0.01, 0.2


def make_record(number: int, seed: int) -> Tuple[str, Record]:
    """Make a document; it depends on the seed and its number alone.

    Test documents alone draw on the templates and terms that are held out.

    number (int): number of the document, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[str, Record]): split and document.
    """
    rng = random.Random(f"pubtator {seed} {number}")
    split = shipped_split(number)
    grammar = load_templates("terms", "sentences", "surrogates", "rct", held_out=split == "test")
    phrases = [grammar.expand("report_title", rng)]
    if rng.random() >= NO_ABSTRACT:
        phrases += [grammar.expand(rng.choice(RULES), rng) for _ in range(rng.randint(3, 9))]
    text = ""
    mentions: List[Mention] = []
    relations: List[Relation] = []
    for place, phrase in enumerate(phrases):
        text += " " if place > 1 else "\n" * place
        kept = [span for span in phrase.spans if span.label in LABELS]
        for index, span in enumerate(kept):
            problems = [other for other, one in enumerate(kept) if one.label == "problem" and other != index]
            if span.relation and problems:
                nearest = min(problems, key=lambda other: abs(kept[other].start - span.start))
                relations.append(Relation(len(mentions) + index, len(mentions) + nearest, span.relation))
        mentions += [Mention(((len(text) + span.start, len(text) + span.end),), span.label) for span in kept]
        text += phrase.text[:1].upper() + phrase.text[1:]
    if len(phrases) == 1:
        text += "\n"
    return split, Record(str(10_000_000 + number), text, tuple(mentions), tuple(relations))


def write_pubtator(folder: Path, records: Iterator[Tuple[str, Record]]) -> None:
    """Write a corpus as released: a file for each split.

    folder (Path): an existing folder.
    records (Iterator[Tuple[str, Record]]): split and document, as `make_record` gives them.
    """
    with split_files(folder, FILES) as files:
        for split, record in records:
            rng = random.Random(f"pubtator {record.id}")
            title, abstract, *annotations = native_lines(record)
            lines = [title, abstract, *(_flawed(line, rng) for line in annotations), ""]
            files[split].writelines(f"{line}\n" for line in lines)


def _flawed(line: str, rng: random.Random) -> str:
    columns = line.split("\t")
    if len(columns) > 4 and rng.random() < OFF_BY_ONE:
        columns[1:3] = (str(int(offset) + 1) for offset in columns[1:3])
    return "\t".join(columns) + "\t" * (rng.random() < TRAILING_TAB)
