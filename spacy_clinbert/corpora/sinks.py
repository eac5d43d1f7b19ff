"""Where converted records go: DocBins, or token/tag files."""

import re
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Dict, Iterator, List, TextIO, Tuple

from spacy.tokens import Doc

from ..errors import ClinbertError
from .docbin import DocBinWriter
from .docs import make_doc
from .formats import Format
from .paper_lines import Bounds, spans, tag
from .records import Record, Rejection


class DocBins(ExitStack):
    """Write `train.spacy`, `dev.spacy`, `test.spacy`.

    folder (Path): an existing folder; form (Format): the form; tokenizer (Callable[[str], Doc]): cuts the texts.
    """

    def __init__(self, folder: Path, form: Format, tokenizer: Callable[[str], Doc]) -> None:
        super().__init__()
        self.folder, self.form, self.tokenizer = folder, form, tokenizer
        self.writers: Dict[str, DocBinWriter] = {}

    def add(self, split: str, record: Record) -> List[Rejection]:
        """Write a record.

        split (str): its split; record (Record): the record.
        RETURNS (List[Rejection]): each mention that is not in `doc.ents`.
        """
        if split not in self.writers:
            self.writers[split] = self.enter_context(DocBinWriter(self.folder / f"{split}.spacy"))
        doc, rejected = make_doc(record, self.tokenizer, self.form)
        self.writers[split].add(doc)
        return rejected


class TagFiles(ExitStack):
    """Write `train.iob`, `dev.iob`, `test.iob`: a token and its IOB2 tag a line, a blank line between sentences.

    folder (Path): an existing folder; form (Format): the form; tokenizer (Callable[[str], Doc]): cuts the texts.
    tokens (str): "pipeline" for its tokens, the tag behind a tab (a token may hold blanks); "paper" for the lines that
        ClinicalBERT's converters wrote, the tag behind a blank (a tab where the form's labels hold blanks).
    """

    def __init__(self, folder: Path, form: Format, tokenizer: Callable[[str], Doc], tokens: str) -> None:
        super().__init__()
        self.folder, self.form, self.tokenizer, self.tokens = folder, form, tokenizer, tokens
        self.files: Dict[str, TextIO] = {}

    def add(self, split: str, record: Record) -> List[Rejection]:
        """Write a record.

        split (str): its split; record (Record): the record.
        RETURNS (List[Rejection]): each mention that the tags cannot hold.
        RAISES (ClinbertError): if the record has categories, of which tags say nothing.
        """
        if record.cats:
            raise ClinbertError(f"{record.id}: has categories, which token/tag files cannot hold: write DocBins")
        if split not in self.files:
            path = self.folder / f"{split}.iob"
            self.files[split] = self.enter_context(path.open("w", encoding="utf-8", newline="\n"))
        sentences: List[List[str]] = []
        if self.tokens == "paper":
            lines = self.form.paper_lines(record.text, record.mentions)
            tagged = list(tag(lines, record.mentions))
            rejected = _not_held(tagged, record)
            sep = "\t" if self.form.layers else " "
            sentences = [[f"{record.text[start:end]}{sep}{iob}" for start, end, iob in line] for line in tagged]
            if record.heading:
                sentences.insert(0, [f"{word} O" for word in record.heading.split()])
        else:
            doc, rejected = make_doc(record, self.tokenizer, self.form)
            tags = {token.idx: token.ent_iob_ + (f"-{token.ent_type_}" if token.ent_type_ else "") for token in doc}
            words = [(token.idx, token.idx + len(token)) for token in doc if not token.is_space]
            for line in _lines(record.text, words):
                # A placeholder may run over a line end.
                tokens = ((re.sub(r"[\t\r\n]", " ", record.text[start:end]), start) for start, end in line)
                sentences.append([f"{token}\t{tags[start]}" for token, start in tokens])
        for sentence in sentences:
            self.files[split].write("".join(f"{row}\n" for row in sentence) + "\n")
        return rejected


def _not_held(tagged: List[List[Tuple[int, int, str]]], record: Record) -> List[Rejection]:
    held = Counter(spans(tagged))
    rejected: List[Rejection] = []
    for mention in record.mentions:
        span = (*mention.fragments[0], mention.label)
        if len(mention.fragments) == 1 and held[span]:
            held[span] -= 1
        else:
            rejected.append(Rejection(record.annotations, mention.id, "the papers' tags do not hold it as annotated"))
    return rejected


def _lines(text: str, words: List[Bounds]) -> Iterator[List[Bounds]]:
    line: List[Bounds] = []
    for start, end in words:
        if line and "\n" in text[line[-1][1] : start]:
            yield line
            line = []
        line.append((start, end))
    if line:
        yield line
