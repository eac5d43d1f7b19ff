"""A synthetic corpus in CoNLL files: the two usual dialects side by side, with their traps."""

import random
import re
from pathlib import Path
from typing import Iterator, List, Tuple

from ..corpora.conll import tagged
from ..corpora.conll_dialect import DOCSTART
from ..corpora.records import Mention, Record
from .grammar import Phrase, load_grammar
from .shipped import shipped_split, split_files

# Two columns, tabs and IOB2 for training and test; four columns, blanks and IOB1, as in CoNLL 2003, for development.
FILES = {"train": "train.tsv", "dev": "devel.conll", "test": "test.tsv"}
CONTENTS = tuple(FILES.values())
RULES = ("history", "history", "course", "course", "course", "results", "summary", "rad_findings", "workup")
ILL_FORMED, BLANK_IN_TOKEN, LOST_COMMA = 0.003, 0.003, 0.05
_TOKEN = re.compile(r"\w+|[^\w\s]")
Tagged = Tuple[str, str]


def make_record(number: int, seed: int) -> Tuple[str, Record]:
    """Make a document; it depends on the seed and its number alone.

    Test documents alone draw on the templates and terms that are held out.

    number (int): number of the document, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[str, Record]): split and document, one sentence a line.
    """
    rng = random.Random(f"conll {seed} {number}")
    split = shipped_split(number)
    grammar = load_grammar(surrogates=True, held_out=split == "test")
    lines: List[str] = []
    mentions: List[Mention] = []
    start = 0
    for _ in range(rng.randint(2, 9)):
        line, inside = _tokenised(grammar.expand(rng.choice(RULES), rng), start, rng)
        lines.append(line[:1].upper() + line[1:])
        mentions += inside
        start += len(line) + 1
    return split, Record(f"record-{number}", "\n".join(lines), tuple(mentions))


def write_conll(folder: Path, records: Iterator[Tuple[str, Record]]) -> None:
    """Write a corpus: a file for each split.

    folder (Path): an existing folder.
    records (Iterator[Tuple[str, Record]]): split and document, as `make_record` gives them.
    """
    with split_files(folder, FILES) as files:
        for split, record in records:
            rng = random.Random(f"conll {record.id}")
            four = split == "dev"
            files[split].write(f"{DOCSTART} -X- -X- O\n\n" if four else f"{DOCSTART}\tO\n\n")
            for sentence in tagged(record):
                rows = _four_columns(sentence) if four else _two_columns(sentence, rng)
                files[split].writelines(f"{row}\n" for row in [*rows, ""])


def _tokenised(phrase: Phrase, by: int, rng: random.Random) -> Tuple[str, List[Mention]]:
    """The tokens of a phrase one blank apart, and its mentions, moved."""
    # Where a comma is lost, two mentions may stand side by side.
    tokens = [one for one in _TOKEN.finditer(phrase.text) if one[0] != "," or rng.random() >= LOST_COMMA]
    starts: List[int] = []
    for token in tokens:
        starts.append(by)
        by += len(token[0]) + 1
    mentions = []
    for span in phrase.spans:
        inside = [n for n, token in enumerate(tokens) if token.start() < span.end and token.end() > span.start]
        if span.label != "placeholder" and inside:
            end = starts[inside[-1]] + len(tokens[inside[-1]][0])
            mentions.append(Mention(((starts[inside[0]], end),), span.label))
    return " ".join(token[0] for token in tokens), mentions


def _two_columns(sentence: List[Tagged], rng: random.Random) -> List[str]:
    rows: List[Tagged] = []
    for token, tag in sentence:
        before = rows[-1][1] if rows else "O"
        if tag == before == "O" and rows and rng.random() < BLANK_IN_TOKEN:
            rows[-1] = f"{rows[-1][0]} {token}", tag
        elif tag[0] == "B" and tag[2:] != before[2:] and rng.random() < ILL_FORMED:
            rows.append((token, f"I{tag[1:]}"))
        else:
            rows.append((token, tag))
    return [f"{token}\t{tag}" for token, tag in rows]


def _four_columns(sentence: List[Tagged]) -> List[str]:
    rows, before = [], "O"
    for number, (token, tag) in enumerate(sentence):
        iob1 = f"I{tag[1:]}" if tag[0] == "B" and tag[2:] != before[2:] else tag
        rows.append(f"{token} {'NN' if token.isalnum() else '.'} {'I' if number else 'B'}-NP {iob1}")
        before = tag
    return rows
