"""A synthetic corpus in the form of i2b2 2008 obesity, with that corpus' missing judgements."""

import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Dict, List, Tuple

from ..corpora.i2b2_2008 import ANNOTATIONS, DISEASES, TEXTS, note_judgements, text_xml
from ..corpora.judgements import Question, judgement_cats, judgements_xml
from ..corpora.records import Record
from .grammar import Grammar, Phrase, load_templates
from .layout import lay_out
from .outline import Block, outline
from .partners import stated

# The second file of texts came later, and its judgements with an addendum.
FILES = {"training": "training", "training2": "training_addendum", "test": "test"}
CONTENTS = tuple(TEXTS.format(name) for name in FILES) + tuple(ANNOTATIONS.format(name) for name in FILES.values())
TEST_SHARE = 0.25
# In the real corpus N and Q are rarer by far.
TEXTUAL = {"U": 0.6, "Y": 0.3, "N": 0.06, "Q": 0.04}
HINTED = 0.2
MISSING = {"textual": 0.005, "intuitive": 0.03}
LISTED = 0.6


def make_record(number: int, seed: int) -> Tuple[str, Record]:
    """Make a record; it depends on the seed and its number alone.

    Every fourth record is for test, and only test records draw on the templates and terms that are held out.

    number (int): number of the record, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[str, Record]): training, training2 or test, and the record.
    """
    rng = random.Random(f"i2b2_2008 {seed} {number}")
    test = number % round(1 / TEST_SHARE) == 0
    file = "test" if test else rng.choices(("training", "training2"), (5, 1))[0]
    grammar = load_templates("terms", "sentences", "phi", "obesity", held_out=test)
    blocks = outline("discharge", grammar, rng)
    cats: Dict[str, float] = {}
    for disease in DISEASES:
        textual = rng.choices(list(TEXTUAL), list(TEXTUAL.values()))[0]
        hinted = textual == "U" and rng.random() < HINTED
        intuitive = "Y" if hinted else "N" if textual == "U" else textual
        blocks = _said(blocks, disease, textual, hinted, grammar, rng)
        for source, judgement in (("textual", textual), ("intuitive", intuitive)):
            if rng.random() >= MISSING[source]:
                cats |= judgement_cats(source, disease, judgement)
    head = " | ".join(grammar.expand(rule, rng).text for rule in ("phi_number", "phi_site", "phi_unit", "date"))
    return file, Record(str(number), f"\n{head}\n{lay_out(blocks).text}\n", cats=cats)


def write_i2b2_2008(folder: Path, records: Iterator[Tuple[str, Record]]) -> None:
    """Write a corpus as released: texts, and judgements by disease, for which those of all records are held.

    folder (Path): an existing folder.
    records (Iterator[Tuple[str, Record]]): file and record, as `make_record` gives them.
    """
    judged: Dict[str, Dict[Question, List[Tuple[str, str]]]] = {name: defaultdict(list) for name in FILES}
    with ExitStack() as stack:
        texts = {}
        for name in FILES:
            path = folder / TEXTS.format(name)
            texts[name] = stack.enter_context(path.open("w", encoding="utf-8", newline="\n"))
            texts[name].write("<root>\n<docs>\n")
        for name, record in records:
            texts[name].write(text_xml(record))
            note_judgements(record, judged[name])
        for file in texts.values():
            file.write("</docs>\n</root>\n")
    for name, annotations in FILES.items():
        with (folder / ANNOTATIONS.format(annotations)).open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(judgements_xml(judged[name]))


def _said(
    blocks: List[Block], disease: str, textual: str, hinted: bool, grammar: Grammar, rng: random.Random
) -> List[Block]:
    """Write into a note what the judgements on a disease rest on."""
    rule = disease.replace(" ", "_")
    if hinted:
        return stated(blocks, ("history_of_present_illness",), grammar.expand(f"hint_{rule}", rng), rng)
    if textual == "U":
        return blocks
    listed = textual == "Y" and rng.random() < LISTED
    words = grammar.expand("listed_Y" if listed else f"told_{textual}", rng).text
    words = words.replace("%", grammar.expand(f"is_{rule}", rng).text)
    section = "past_medical_history" if listed else "history_of_present_illness"
    return stated(blocks, (section,), Phrase(words[0].upper() + words[1:]), rng)
