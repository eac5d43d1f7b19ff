"""The gold of a DocBin that `clinbert convert` wrote: all mentions as annotated, also those that no entity can hold."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import List, Mapping, NamedTuple, Tuple

from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from ..corpora.catalogue import find_format
from ..corpora.docs import GOLD
from ..corpora.formats import Format
from ..corpora.records import Mention
from ..errors import ClinbertError
from .assertion_scorer import Place, gold_assertions
from .run import checksum

Bounds = Tuple[int, int]


class GoldDoc(NamedTuple):
    """A document of a corpus.

    id (str): its name.
    text (str): its text.
    mentions (Tuple[Mention, ...]): the gold mentions, in characters of the text.
    tokens (Tuple[Bounds, ...]): the tokens that the conversion cut, blanks left out.
    cats (Mapping[str, float]): the gold labels of the document.
    parts (Mapping[str, Tuple[Bounds, ...]]): named stretches of the text, such as premise and hypothesis.
    assertions (Mapping[Place, str]): what is asserted of its mentions, by place; see `gold_assertions`.
    """

    id: str
    text: str
    mentions: Tuple[Mention, ...]
    tokens: Tuple[Bounds, ...]
    cats: Mapping[str, float]
    parts: Mapping[str, Tuple[Bounds, ...]]
    assertions: Mapping[Place, str] = {}


class GoldCorpus(NamedTuple):
    """A corpus that a model is judged on.

    path (Path): its DocBin.
    form (Format): the form it came in.
    docs (List[GoldDoc]): its documents.
    checksum (str): see `run.checksum`.
    """

    path: Path
    form: Format
    docs: List[GoldDoc]
    checksum: str

    @property
    def has_mentions(self) -> bool:
        """Whether mentions are annotated; a corpus of labelled documents says nothing of mentions."""
        return any(doc.mentions for doc in self.docs) or not self.has_cats

    @property
    def has_cats(self) -> bool:
        """Whether whole documents are labelled."""
        return any(doc.cats for doc in self.docs)

    @property
    def has_assertions(self) -> bool:
        """Whether it is annotated what is asserted of mentions."""
        return any(doc.assertions for doc in self.docs)


def read_gold(path: Path) -> GoldCorpus:
    """Read a DocBin.

    path (Path): a .spacy file of `clinbert convert`.
    RETURNS (GoldCorpus): its documents.
    RAISES (ClinbertError): if it cannot be read, is empty, or was not written by `clinbert convert`.
    """
    advice = "give a .spacy file that `clinbert convert` wrote"
    if not path.is_file():
        raise ClinbertError(f"{path}: no such file: {advice}")
    try:
        docs = list(DocBin().from_disk(path).get_docs(Vocab()))
    except Exception:
        # zlib, msgpack and spaCy each complain in their own way, and may quote what they could not read.
        raise ClinbertError(f"{path} is no DocBin: {advice}") from None
    if not docs:
        raise ClinbertError(f"{path} holds no documents: {advice}")
    for number, doc in enumerate(docs, start=1):
        if not {"clinbert_id", "clinbert_gold", "clinbert_format"} <= doc.user_data.keys():
            raise ClinbertError(f"{path}, document {number}: no gold of `clinbert convert`: {advice}")
    names = sorted({doc.user_data["clinbert_format"] for doc in docs})
    if len(names) > 1:
        raise ClinbertError(f"{path} mixes the forms {' and '.join(names)}: evaluate each corpus by itself")
    ids = Counter(doc.user_data["clinbert_id"] for doc in docs)
    twice = next((name for name, times in ids.items() if times > 1), None)
    if twice is not None:
        raise ClinbertError(f"{path}: two documents are named {twice}: {advice}, not several of them put together")
    form = find_format(names[0])
    gold = [_gold(doc, form.layers.keys()) for doc in docs]
    return GoldCorpus(path, form, gold, checksum((doc.id, doc.mentions, doc.cats) for doc in gold))


def _gold(doc: Doc, layers: Collection[str]) -> GoldDoc:
    mentions = tuple(
        Mention(tuple(map(tuple, fragments)), label) for fragments, label in doc.user_data["clinbert_gold"]
    )
    return GoldDoc(
        id=doc.user_data["clinbert_id"],
        text=doc.text,
        mentions=mentions,
        tokens=tuple((token.idx, token.idx + len(token)) for token in doc if token.text.strip()),
        cats=dict(doc.cats),
        parts={
            key: tuple((span.start_char, span.end_char) for span in group)
            for key, group in doc.spans.items()
            if key != GOLD and key not in layers
        },
        assertions=gold_assertions(doc),
    )
