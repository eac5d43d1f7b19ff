"""Templates with slots, expanded into text with labelled character spans."""

import json
import random
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Dict, List, NamedTuple, Sequence, Tuple, Union

TEMPLATES = Path(__file__).parent / "templates"
LABELS = {"P": "problem", "T": "treatment", "X": "test", "@": "placeholder"}
TYPO_RATE = 0.004
_NODE = re.compile(
    r"\{(?P<low>\d+(?:\.\d+)?)-(?P<high>\d+(?:\.\d+)?)\}"
    r"|\{(?P<rule>\w+)\}"
    r"|<(?P<label>[^<>:/~]+)(?:/(?P<assertion>\w+))?(?:~(?P<relation>\w+))?:(?P<inside>[^<>]*)>"
)


class Span(NamedTuple):
    """A labelled stretch of a phrase.

    start (int), end (int): character offsets into the phrase.
    label (str): problem, treatment, test, placeholder, or another label of the templates.
    assertion (str): what the text says of a problem, in the words of i2b2 2010; empty for other labels.
    relation (str): how the mention is related to the nearest other problem of its phrase (i2b2 2010); empty for none.
    """

    start: int
    end: int
    label: str
    assertion: str = ""
    relation: str = ""


class Phrase(NamedTuple):
    """A text and its labelled spans."""

    text: str
    spans: Tuple[Span, ...] = ()


def joined(left: Phrase, between: str, right: Phrase) -> Phrase:
    """Join two phrases.

    left (Phrase), right (Phrase): the phrases.
    between (str): what stands between them.
    RETURNS (Phrase): the text and the spans of both.
    """
    by = len(left.text) + len(between)
    moved = tuple(span._replace(start=span.start + by, end=span.end + by) for span in right.spans)
    return Phrase(left.text + between + right.text, left.spans + moved)


class _Rule(NamedTuple):
    name: str


class _Number(NamedTuple):
    low: int
    high: int
    places: int


class _Labelled(NamedTuple):
    label: str
    assertion: str
    relation: str
    nodes: Tuple["_Node", ...]


_Node = Union[str, _Rule, _Number, _Labelled]


@dataclass
class Grammar:
    """Rules, each a list of alternatives, that expand into phrases.

    An alternative is text with `{rule}`, a number `{1-30}` or `{0.5-2.5}`, and labelled stretches: `<P:…>` problem,
    `<T:…>` treatment, `<X:…>` test, `<@:…>` placeholder, any other label by its name;
    `<P/absent:…>` adds an assertion and `<T~TrAP:…>` a relation
    to the nearest problem of the phrase. A leading `*` marks an alternative that is held out of the training split.

    rules (Dict[str, Sequence[str]]): the alternatives of each rule.
    held_out (bool): draw also on the alternatives that are held out.
    """

    rules: Dict[str, Sequence[str]]
    held_out: bool

    def __post_init__(self) -> None:
        self._alternatives = {
            name: [_parse(text.removeprefix("*")) for text in texts if self.held_out or not text.startswith("*")]
            for name, texts in self.rules.items()
        }

    def expand(self, rule: str, rng: random.Random) -> Phrase:
        """Draw a phrase of a rule, in which now and then a word is misspelt.

        rule (str): name of a rule.
        rng (random.Random): the source of all choices.
        RETURNS (Phrase): the text and its spans, which never begin or end with a blank.
        RAISES (KeyError): if no such rule exists.
        """
        parts: List[str] = []
        spans: List[Span] = []
        self._emit(rng.choice(self._alternatives[rule]), rng, parts, spans, 0)
        return Phrase("".join(parts), tuple(spans))

    def _emit(self, nodes: Sequence[_Node], rng: random.Random, parts: List[str], spans: List[Span], end: int) -> int:
        for node in nodes:
            if isinstance(node, _Rule):
                alternatives = self._alternatives[node.name]
                end = self._emit(alternatives[int(rng.random() * len(alternatives))], rng, parts, spans, end)
            elif isinstance(node, _Labelled):
                start, end = end, self._emit(node.nodes, rng, parts, spans, end)
                spans.append(Span(start, end, node.label, node.assertion, node.relation))
            else:
                text = _number(node, rng) if isinstance(node, _Number) else node
                # What de-identification put in is never misspelt.
                if rng.random() < TYPO_RATE and "**" not in text:
                    text = misspell(text, rng)
                parts.append(text)
                end += len(text)
        return end


@cache
def load_grammar(surrogates: bool, held_out: bool) -> Grammar:
    """Load the grammar of the packaged templates.

    surrogates (bool): invented names and dates, as in i2b2's corpora, instead of MIMIC-III's `[** … **]`.
    held_out (bool): draw also on what is held out of the training split.
    RETURNS (Grammar): the grammar, made once for each pair of arguments.
    """
    return load_templates("terms", "sentences", "surrogates" if surrogates else "placeholders", held_out=held_out)


@cache
def load_templates(*names: str, held_out: bool) -> Grammar:
    """Load the grammar of some packaged templates.

    names (str): names of files in `templates/`, without their ending.
    held_out (bool): draw also on what is held out of the training split.
    RETURNS (Grammar): the grammar, made once for each set of arguments.
    """
    rules: Dict[str, Sequence[str]] = {}
    for name in names:
        rules.update(json.loads((TEMPLATES / f"{name}.json").read_text(encoding="utf-8")))
    return Grammar(rules, held_out)


def misspell(text: str, rng: random.Random) -> str:
    """Misspell one lower-case word of at least five letters: two letters change places, or one is lost or doubled.

    text (str): any text.
    rng (random.Random): the source of all choices.
    RETURNS (str): the text; unchanged if it has no such word.
    """
    words = list(re.finditer(r"[a-z]{5,}", text))
    if not words:
        return text
    word = rng.choice(words)
    at = rng.randrange(word.start() + 1, word.end() - 1)
    middle = rng.choice((text[at + 1] + text[at], text[at + 1], text[at] + text[at] + text[at + 1]))
    return text[:at] + middle + text[at + 2 :]


def _number(node: _Number, rng: random.Random) -> str:
    drawn = node.low + int(rng.random() * (node.high - node.low + 1))
    return f"{drawn / 10**node.places:.{node.places}f}" if node.places else str(drawn)


@cache
def _parse(text: str) -> Tuple[_Node, ...]:
    nodes: List[_Node] = []
    end = 0
    for match in _NODE.finditer(text):
        if match.start() > end:
            nodes.append(text[end : match.start()])
        end = match.end()
        if match["rule"]:
            nodes.append(_Rule(match["rule"]))
        elif match["label"]:
            assertion = match["assertion"] or ("present" if match["label"] == "P" else "")
            label = LABELS.get(match["label"], match["label"])
            nodes.append(_Labelled(label, assertion, match["relation"] or "", _parse(match["inside"])))
        else:
            places = len(match["low"].partition(".")[2])
            scale = 10**places
            nodes.append(_Number(round(float(match["low"]) * scale), round(float(match["high"]) * scale), places))
    if end < len(text):
        nodes.append(text[end:])
    return tuple(nodes)
