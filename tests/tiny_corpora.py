"""Small converted corpora, as `clinbert convert` writes them."""

from pathlib import Path
from typing import Iterable

import spacy
from spacy.tokens import DocBin

from spacy_clinbert.corpora.catalogue import find_format
from spacy_clinbert.corpora.docs import make_doc
from spacy_clinbert.corpora.records import Mention, Record


def annotate(name: str, text: str, *mentions: tuple[str, str]) -> Record:
    """A record; each mention is (words, label), the first place of the words; `…` joins fragments."""
    found = []
    for words, label in mentions:
        starts = [(text.index(piece), piece) for piece in words.split("…")]
        found.append(Mention(tuple((start, start + len(piece)) for start, piece in starts), label))
    return Record(name, text, tuple(found))


def write_corpus(path: Path, records: Iterable[Record], form: str = "i2b2_2010") -> Path:
    """Write a DocBin of records, cut by spaCy's English tokenizer."""
    nlp = spacy.blank("en")
    docs = [make_doc(record, nlp.tokenizer, find_format(form))[0] for record in records]
    path.parent.mkdir(parents=True, exist_ok=True)
    DocBin(attrs=["ENT_IOB", "ENT_TYPE"], store_user_data=True, docs=docs).to_disk(path)
    return path


def write_rules(folder: Path, patterns: dict[str, str], spans_key: str | None = None) -> str:
    """Write a pipeline that finds phrases, as entities or as overlapping spans."""
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("span_ruler", config={"spans_key": spans_key}) if spans_key else nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": label, "pattern": phrase} for phrase, label in patterns.items()])
    nlp.to_disk(folder)
    return str(folder)
