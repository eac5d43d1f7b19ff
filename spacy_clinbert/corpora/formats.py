"""What is said of a form of corpus; the rows stand in the modules of the forms, the catalogue gathers them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, FrozenSet, Mapping, Optional, Tuple

from .paper_lines import PaperLines, cut_at_mentions
from .records import Entry, Record


@dataclass(frozen=True)
class Format:
    """A form of corpus.

    name (str): as the command line takes it.
    title (str): the corpus in words.
    entries (Callable[[Path], Iterator[Entry]]): finds its documents.
    write (Callable[[Iterable[Record], Path], None]): writes records in the native form, as training data; raises a
        `ClinbertError` if the form cannot hold a record.
    terms (str): who may use it, and under what agreement.
    gated (Optional[bool]): whether it is given out under an agreement only, which may bind what is trained on it too;
        None where that depends on the corpus.
    paper_lines (PaperLines): how the papers cut it into lines and tokens.
    lang (str): its language.
    texts (Tuple[str, ...]): where its text comes from, in the words of the encoders' catalogue (`Encoder.text`), so
        that an evaluation can say whether an encoder saw it.
    reservation (str): what keeps an encoder of `texts` from having seen all of it, in a clause; empty for nothing.
    fine (bool): whether its mentions end inside words, so that converting and training want the tokenizer
        `spacy_clinbert.ClinicalTokenizer.v1` with `fine = true`.
    layers (Mapping[str, FrozenSet[str]]): groups of labels for which models are trained apart, by name.
    """

    name: str
    title: str
    entries: Callable[[Path], Iterator[Entry]]
    write: Callable[[Iterable[Record], Path], None]
    terms: str
    gated: Optional[bool] = True
    paper_lines: PaperLines = cut_at_mentions
    lang: str = "en"
    texts: Tuple[str, ...] = ()
    reservation: str = ""
    fine: bool = False
    layers: Mapping[str, FrozenSet[str]] = field(default_factory=dict)


I2B2 = "n2c2 data use agreement (Department of Biomedical Informatics, Harvard Medical School); not to be passed on"
