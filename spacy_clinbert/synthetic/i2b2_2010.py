"""A synthetic corpus in the form of i2b2 2010, with that corpus' traps."""

import random
import re
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

from ..corpora.i2b2_2010 import REFERENCE, TEST, TRAIN, write, write_record
from ..corpora.records import Mention, Record, Relation
from .grammar import Grammar, Phrase, Span, joined, load_templates
from .outline import outline

CONTENTS = (TRAIN, TEST, REFERENCE)
KINDS = {"discharge": 8, "physician": 2}
# The real corpus has 170 documents for training and 256 for test; here most are for training.
TEST_SHARE = 0.25
ASSESSED = (4, 8)
LEADING_BLANK, INNER_BLANKS, BROKEN_MENTION = 0.02, 0.03, 0.02
# As in the real corpus, punctuation stands apart and a placeholder is cut at its blanks only.
_TOKEN = re.compile(
    r"\[\*\*\S*?\*\*\]|\[\*\*\S*|[^\s\]]*\*\*\]"
    r"|(?:[A-Za-z]\.){2,}|Dr\.|M[rs]+\."
    r"|\w+(?:[-'./:]\w+)*%?|\S"
)


def make_record(number: int, seed: int) -> Tuple[str, Record]:
    """Make a document; it depends on the seed and its number alone.

    Every fourth document is for test, and only test documents draw on the templates and terms that are held out.

    number (int): number of the document, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[str, Record]): the folder it belongs to (beth, partners or test) and the document.
    """
    rng = random.Random(f"i2b2_2010 {seed} {number}")
    folder = "test" if number % round(1 / TEST_SHARE) == 0 else rng.choice(("beth", "partners"))
    names = "surrogates" if folder == "partners" or number % 8 == 0 else "placeholders"
    grammar = load_templates("terms", "sentences", "assertions", names, held_out=folder == "test")
    writer = _Tokens(rng)
    for line in (*_lines(grammar, rng), *_assessment(grammar, rng)):
        writer.add(line)
    return folder, writer.record(f"record-{number}")


def write_i2b2_2010(folder: Path, records: Iterator[Tuple[str, Record]]) -> None:
    """Write a corpus as released: training documents by site, test documents, their reference standard.

    folder (Path): an existing folder.
    records (Iterator[Tuple[str, Record]]): folder and document, as `make_record` gives them.
    """
    for site, record in records:
        if site == "test":
            write_record(record, folder / TEST, folder / REFERENCE / "concepts", folder / REFERENCE)
        else:
            write([record], folder / TRAIN / site)


def _lines(grammar: Grammar, rng: random.Random) -> Iterator[Phrase]:
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    for block in outline(kind, grammar, rng):
        phrases = [joined(Phrase(item.mark), "", item.phrase) for item in block.items]
        if block.title is not None:
            title = joined(Phrase(block.mark), "", joined(block.title, " :", Phrase("")))
            alone = block.after.endswith("\n") or not phrases
            phrases = [title, *phrases] if alone else [joined(title, " ", phrases[0]), *phrases[1:]]
        yield from phrases


def _assessment(grammar: Grammar, rng: random.Random) -> Iterator[Phrase]:
    """What the rest of a note seldom says: problems that are possible, conditional, hypothetical, someone else's."""
    yield Phrase(rng.choice(("Assessment :", "ASSESSMENT AND PLAN :", "Impression :")))
    for _ in range(rng.randint(*ASSESSED)):
        phrase = grammar.expand("assessment", rng)
        yield phrase._replace(text=phrase.text[:1].upper() + phrase.text[1:])


class _Tokens:
    """The text so far, one phrase a line, tokens apart."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.text = ""
        self.mentions: List[Mention] = []
        self.relations: List[Relation] = []

    def add(self, phrase: Phrase) -> None:
        spans = [span for span in phrase.spans if span.label != "placeholder"]
        tokens = [(match.start(), match.end()) for match in _TOKEN.finditer(phrase.text)]
        broken = self._break(tokens, spans)
        if self.rng.random() < LEADING_BLANK:
            self.text += " "
        places = []
        for number, (start, end) in enumerate(tokens):
            if number:
                self.text += "\n" if number == broken else "  " if self.rng.random() < INNER_BLANKS else " "
            places.append((len(self.text), len(self.text) + end - start))
            self.text += phrase.text[start:end]
        self.text += "\n"
        first = len(self.mentions)
        for span in spans:
            inside = [place for place, token in zip(places, tokens, strict=True) if _overlap(token, span)]
            self.mentions.append(Mention(((inside[0][0], inside[-1][1]),), span.label, assertion=span.assertion))
        for head, span in enumerate(spans):
            problems = [tail for tail, other in enumerate(spans) if other.label == "problem" and tail != head]
            if span.relation and problems:
                nearest = min(problems, key=lambda tail: abs(spans[tail].start - span.start))
                self.relations.append(Relation(first + head, first + nearest, span.relation))

    def record(self, name: str) -> Record:
        return Record(name, self.text, tuple(self.mentions), tuple(self.relations))

    def _break(self, tokens: List[Tuple[int, int]], spans: List[Span]) -> Optional[int]:
        """Now and then, the token inside a mention before which the line ends."""
        if not spans or self.rng.random() >= BROKEN_MENTION:
            return None
        span = self.rng.choice(spans)
        inner = [number for number, token in enumerate(tokens) if token[0] > span.start and token[1] <= span.end]
        return inner[0] if inner else None


def _overlap(token: Tuple[int, int], span: Span) -> bool:
    return token[0] < span.end and token[1] > span.start
