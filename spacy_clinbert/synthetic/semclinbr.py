"""A synthetic corpus in the form of SemClinBr, with that corpus' traps."""

import random
import unicodedata
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple
from xml.sax.saxutils import escape

from ..corpora.records import Mention, Record, Relation
from ..corpora.semclinbr import Annotation, write_document
from ..corpora.semclinbr_offsets import TOKEN
from .grammar import Grammar, Span, load_templates

CONTENTS = TRAIN, TEST = ("train", "test")
TEST_SHARE = 0.25
# A file's line end, and how many characters the offsets count for it. In the real corpus most count two.
LINE_ENDS: Dict[Tuple[str, int], float] = {("\r\n", 2): 0.6, ("\r\n", 1): 0.2, ("\n", 1): 0.15, ("\n", 2): 0.05}
ESCAPED_TWICE = 0.3
# About one annotation in a hundred misses its edges, mostly by starting a character late; some strings are of a text
# that was edited later.
EDGE_OFF, EDITED = 0.01, 0.002
CUT_LATER = "A ESCLARECER"
MISSES = {(1, 0): 0.85, (1, 1): 0.05, (2, 0): 0.05, (0, -1): 0.05}


class SyntheticNote(NamedTuple):
    """A synthetic note.

    split (str): "train" or "test".
    record (Record): what a reader should find; annotations of an edited text are not in it.
    annotations (Tuple[Annotation, ...]): what stands in the file, traps included.
    """

    split: str
    record: Record
    annotations: Tuple[Annotation, ...]


def make_record(number: int, seed: int) -> SyntheticNote:
    """Make a note; it depends on the seed and its number alone.

    The real corpus has no test split. Here every fourth note is for test, and only those draw on the templates and
    terms that are held out.

    number (int): number of the note, from 1.
    seed (int): seed of the corpus.
    RETURNS (SyntheticNote): the note.
    """
    rng = random.Random(f"semclinbr {seed} {number}")
    split = TEST if number % round(1 / TEST_SHARE) == 0 else TRAIN
    grammar = load_templates("semclinbr", held_out=split == TEST)
    phrase = grammar.expand("note", rng)
    line_end, counted = rng.choices(list(LINE_ENDS), list(LINE_ENDS.values()))[0]
    text = _cased(phrase.text, rng)

    def place(offset: int, width: int) -> int:
        return offset + (width - 1) * text.count("\n", 0, offset)

    twice = rng.random() < ESCAPED_TWICE
    meanings = _meanings(grammar)
    spans = sorted(phrase.spans, key=lambda span: (span.start, -span.end))
    annotations: List[Annotation] = []
    mentions: List[Mention] = []
    found: Dict[int, int] = {}
    for index, span in enumerate(spans):
        name, types = str(1000 * number + index), tuple(span.label.split("|"))
        abbr = meanings.get(phrase.text[span.start : span.end].lower(), "") if "Abbreviation" in types else ""
        tokens = TOKEN.findall(text[span.start : span.end])
        left, right = (0, 0)
        if rng.random() < EDITED:
            tokens.append(CUT_LATER)
        else:
            found[index] = len(mentions)
            fragment = (place(span.start, len(line_end)), place(span.end, len(line_end)))
            mentions += [Mention((fragment,), label, name) for label in types]
            if span.end - span.start > 3 and rng.random() < EDGE_OFF:
                left, right = rng.choices(list(MISSES), list(MISSES.values()))[0]
        string = escape(" ".join(tokens)) if twice else " ".join(tokens)
        start, end = place(span.start, counted) + left, place(span.end, counted) + right
        annotations.append(Annotation(name, types, start, end, string, abbr))
    relations = [
        Relation(found[head], found[tail], spans[head].relation)
        for head, tail in _related(spans)
        if head in found and tail in found
    ]
    record = Record(str(9000 + number), text.replace("\n", line_end), tuple(mentions), tuple(relations))
    return SyntheticNote(split, record, tuple(annotations))


def write_semclinbr(folder: Path, notes: Iterator[SyntheticNote]) -> None:
    """Write a corpus: one XML file a note, in folders named by split.

    folder (Path): an existing folder.
    notes (Iterator[SyntheticNote]): notes, as `make_record` gives them.
    """
    for split, record, annotations in notes:
        ids = [mention.id for mention in record.mentions]
        relations = [(ids[head], ids[tail], label) for head, tail, label in record.relations]
        write_document(folder / split / f"{record.id}.xml", record.text, annotations, relations)


def _cased(text: str, rng: random.Random) -> str:
    """Hospitals write notes in capitals, often without accents; all these have as many characters."""
    style = rng.choices(("plain", "bare", "upper", "lower"), (0.4, 0.1, 0.3, 0.2))[0]
    if style in ("plain", "bare"):
        letters = (unicodedata.normalize("NFD", letter)[0] for letter in text)
        text = "".join(letters)
    return text.upper() if style in ("plain", "upper") else text


def _related(spans: Sequence[Span]) -> Iterator[Tuple[int, int]]:
    """Each span with a relation, and the nearest that follows it and is not part of it."""
    for head, span in enumerate(spans):
        if span.relation:
            tail = next((tail for tail in range(head + 1, len(spans)) if spans[tail].start >= span.end), None)
            if tail is not None:
                yield head, tail


def _meanings(grammar: Grammar) -> Dict[str, str]:
    pairs = (text.partition("=") for text in grammar.rules["meaning"])
    return {short: long for short, _, long in pairs}
