"""A synthetic corpus in the form of i2b2 2012, with that corpus' traps."""

import html
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import List, Optional, Tuple

from ..corpora import cdata
from ..corpora.i2b2_2012 import MERGED, ROOT, TEST, TRAIN, tags
from ..corpora.records import Mention, Record, Relation
from .grammar import Grammar, Phrase, Span, load_templates

CONTENTS = (TRAIN, TEST)
TEST_SHARE = 0.25
# Of lines: a mention over a line end; a full stop that is glued to a word, and so to a mention.
BROKEN_MENTION, GLUED = 0.02, 0.03
# Of notes: quotes as XML escapes, in the text; an & that is not escaped, in the annotations; an event without a type;
# offsets that are off.
ESCAPED, BARE, UNTYPED, OFF = 0.08, 0.15, 0.3, 0.05
ASSERTIONS = {"absent": "NEG FACTUAL", "possible": "POS POSSIBLE", "conditional": "POS CONDITIONAL"}
SECTIONS = (
    (("event_admission", 1, 1), ("date", 1, 1), ("event_leaving", 1, 1), ("date", 1, 1)),
    (("event_title", 1, 1), ("event_opening", 1, 1), ("event_history", 2, 8)),
    (("event_course_title", 1, 1), ("event_course", 3, 12)),
    (("event_discharge_title", 1, 1), ("event_discharge", 1, 3)),
)
_TOKEN = re.compile(r"(?:[A-Za-z]\.){2,}|Dr\.|M[rs]\.|\w+(?:[-'./:]\w+)*%?|\S")
_DATE = re.compile(r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b")


def make_record(number: int, seed: int) -> Tuple[str, Record]:
    """Make a document; it depends on the seed and its number alone.

    Every fourth document is for test, and only test documents draw on the templates and terms that are held out.

    number (int): number of the document, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[str, Record]): the folder it belongs to and the document.
    """
    rng = random.Random(f"i2b2_2012 {seed} {number}")
    test = number % round(1 / TEST_SHARE) == 0
    grammar = load_templates("terms", "surrogates", "events", held_out=test)
    page = _Page(rng)
    for phrase in _lines(grammar, rng):
        page.add(phrase)
    record = Record(str(number), page.text, tuple(page.mentions), tuple(page.relations))
    return f"{TEST}/{MERGED}" if test else TRAIN, record


def write_i2b2_2012(folder: Path, records: Iterator[Tuple[str, Record]]) -> None:
    """Write a corpus as released, with times beside the events, and with what is wrong in some released files.

    folder (Path): an existing folder.
    records (Iterator[Tuple[str, Record]]): folder and document, as `make_record` gives them.
    """
    for place, record in records:
        rng = random.Random(record.text)
        text, end, annotations = cdata.to_xml(record, ROOT, _tags(record, rng)).partition("]]></TEXT>")
        if rng.random() < BARE:
            annotations = annotations.replace("&amp;", "&")
        (folder / place).mkdir(parents=True, exist_ok=True)
        (folder / place / f"{record.id}.xml").write_bytes((text + end + annotations).encode("utf-8"))


def _lines(grammar: Grammar, rng: random.Random) -> Iterator[Phrase]:
    for section in SECTIONS:
        for rule, low, high in section:
            for _ in range(rng.randint(low, high)):
                phrase = grammar.expand(rule, rng)
                yield phrase._replace(text=phrase.text[:1].upper() + phrase.text[1:])


def _tags(record: Record, rng: random.Random) -> Iterator[cdata.Tag]:
    off = rng.randrange(len(record.mentions)) if rng.random() < OFF else None
    for number, (name, attributes) in enumerate(tags(record)):
        changed = {key: html.unescape(value) for key, value in attributes.items()}
        if number == off:
            changed |= {key: str(int(changed[key]) + 2) for key in ("start", "end")}
        yield name, changed
    if rng.random() < UNTYPED:
        word = rng.choice(list(re.finditer(r"\w+", record.text)))
        place = {"start": str(word.start()), "end": str(word.end()), "text": word[0]}
        yield "EVENT", {"id": f"E{len(record.mentions)}", **place, "modality": "FACTUAL", "polarity": "POS", "type": ""}
    for number, date in enumerate(_DATE.finditer(record.text)):
        place = {"start": str(date.start()), "end": str(date.end()), "text": date[0]}
        value = f"{date[3]}-{date[1]:0>2}-{date[2]:0>2}"
        yield "TIMEX3", {"id": f"T{number}", **place, "type": "DATE", "val": value, "mod": "NA"}
        if number == 0:
            yield "SECTIME", {"id": "S0", **place, "type": "ADMISSION", "dvalue": value}
            start, stop = record.mentions[0].fragments[0]
            ends = {"fromID": "E0", "fromText": record.text[start:stop], "toID": "T0", "toText": date[0]}
            yield "TLINK", {"id": "Sectime0", **ends, "type": "BEFORE"}


class _Page:
    """The text so far, one phrase a line, tokens apart."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.text = "\n"
        self.mentions: List[Mention] = []
        self.relations: List[Relation] = []
        self.escaped = rng.random() < ESCAPED

    def add(self, phrase: Phrase) -> None:
        tokens = [(match.start(), match.end()) for match in _TOKEN.finditer(phrase.text)]
        broken = self._break(tokens, phrase.spans)
        glued = len(tokens) - 1 if phrase.text[-1] == "." and self.rng.random() < GLUED else None
        places = []
        for number, (start, end) in enumerate(tokens):
            if number and number != glued:
                self.text += "\n" if number == broken else " "
            word = phrase.text[start:end]
            if self.escaped:
                word = word.replace("'", "&apos;").replace('"', "&quot;")
            places.append((len(self.text), len(self.text) + len(word)))
            self.text += word
        self.text += "\n"
        first = len(self.mentions)
        for span in phrase.spans:
            inside = [
                place
                for place, (start, end) in zip(places, tokens, strict=True)
                if start < span.end and end > span.start
            ]
            assertion = ASSERTIONS.get(span.assertion, "POS FACTUAL")
            self.mentions.append(Mention(((inside[0][0], inside[-1][1]),), span.label.upper(), assertion=assertion))
        for head, span in enumerate(phrase.spans):
            problems = [tail for tail, other in enumerate(phrase.spans) if other.label == "problem" and tail != head]
            if span.relation and problems:
                nearest = min(problems, key=lambda tail: abs(phrase.spans[tail].start - span.start))
                self.relations.append(Relation(first + head, first + nearest, span.relation))

    def _break(self, tokens: List[Tuple[int, int]], spans: Tuple[Span, ...]) -> Optional[int]:
        """Now and then, the token inside a mention before which the line ends."""
        if not spans or self.rng.random() >= BROKEN_MENTION:
            return None
        span = self.rng.choice(spans)
        inner = [number for number, token in enumerate(tokens) if token[0] > span.start and token[1] <= span.end]
        return inner[0] if inner else None
