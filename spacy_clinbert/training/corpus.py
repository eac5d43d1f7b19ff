"""`spacy_clinbert.Corpus.v1`: a corpus reader that carries to the predicted Docs what no rule can find again.

[corpora.train]
@readers = "spacy_clinbert.Corpus.v1"
path = ${paths.train}
carry = ["spans:premise", "spans:hypothesis"]

spaCy trains on bare Docs: premise and hypothesis of a pair would be gone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import List, Union

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Corpus, Example
from spacy.training.corpus import FILE_TYPE, walk_corpus
from spacy.util import registry
from spacy.vocab import Vocab

from ..errors import ClinbertError

SENTS, ENTS, SPANS = "sents", "ents", "spans:"


@registry.readers("spacy_clinbert.Corpus.v1")
def make_corpus(
    path: Union[str, Path], carry: List[str], gold_preproc: bool = False, max_length: int = 0, limit: int = 0
) -> "CarryingCorpus":
    """Make a reader of whole Docs.

    path (Union[str, Path]): a .spacy file, such as `clinbert convert` writes, or a folder of such.
    carry (List[str]): what is copied from the gold Doc to the predicted one: "sents", "spans:KEY" for the group of a
        key, and "ents" (for assertions, never for the training of entities).
    gold_preproc (bool), max_length (int): as spaCy's reader has them; refused, since cutting a Doc drops its spans.
    limit (int): so many Docs are read; 0 for all.
    RETURNS (CarryingCorpus): the reader.
    RAISES (ClinbertError): if one of these is set, or something is to be carried that is unknown.
    """
    for setting, value in (("gold_preproc", gold_preproc), ("max_length", max_length)):
        if value:
            raise ClinbertError(
                f"spacy_clinbert.Corpus.v1: {setting} = {str(value).lower()} cuts Docs into sentences, which drops all "
                "doc.spans: leave it out"
            )
    for name in carry:
        if name not in (SENTS, ENTS) and not name.startswith(SPANS):
            raise ClinbertError(
                f'spacy_clinbert.Corpus.v1: carry = "{name}" is unknown: give "{SENTS}", "{ENTS}" or "{SPANS}KEY", '
                "such as spans:premise"
            )
    return CarryingCorpus(Path(path), carry, limit)


class CarryingCorpus:
    """Gives an example for each Doc of a corpus: the gold Doc, and one that is bare but for what is carried.

    path (Path), carry (List[str]), limit (int): see `make_corpus`.
    """

    def __init__(self, path: Path, carry: List[str], limit: int = 0) -> None:
        self.path = path
        self.carry = carry
        self.limit = limit

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Read the examples.

        nlp (Language): the pipeline, whose tokenizer cuts the predicted Docs.
        YIELDS (Example): predicted and gold Doc.
        RAISES (ClinbertError): if a file cannot be read, a Doc lacks what is to be carried, or has other tokens than
            the tokenizer cuts.
        """
        for number, gold in enumerate(self._docs(nlp.vocab), start=1):
            words, spaces = [token.text for token in gold], [bool(token.whitespace_) for token in gold]
            unknown = gold.has_unknown_spaces
            predicted = Doc(nlp.vocab, words=words, spaces=spaces) if unknown else nlp.make_doc(gold.text)
            name = f"{self.path}, document {gold.user_data.get('clinbert_id', number)}"
            if self.carry and words != [token.text for token in predicted]:
                raise ClinbertError(
                    f"{name}: the pipeline's tokenizer cuts other tokens than the corpus has: set [nlp.tokenizer] to "
                    "the one that it was converted with, or convert it anew"
                )
            for what in self.carry:
                carry_over(gold, predicted, what, name)
            yield Example(predicted, gold)

    def __len__(self) -> int:
        """Count the Docs; the file is read."""
        return sum(1 for _ in self._docs(Vocab()))

    def _docs(self, vocab: Vocab) -> Iterator[Doc]:
        try:
            yield from Corpus(self.path, limit=self.limit).read_docbin(vocab, walk_corpus(self.path, FILE_TYPE))
        except Exception:
            # zlib, msgpack and spaCy each complain in their own way, and may quote what they could not read.
            raise ClinbertError(
                f"{self.path} is no .spacy file that can be read: give one that `clinbert convert` wrote"
            ) from None


def carry_over(gold: Doc, predicted: Doc, what: str, name: str) -> None:
    """Copy sentences, entities or a span group from one Doc to another of the same tokens.

    gold, predicted (Doc): from where, and to where.
    what (str): "sents", "ents" or "spans:KEY".
    name (str): what the Doc is called in errors.
    RAISES (ClinbertError): if the gold Doc has no such sentences or spans.
    """
    key = what[len(SPANS) :]
    if (what == SENTS and not gold.has_annotation("SENT_START")) or (what.startswith(SPANS) and key not in gold.spans):
        raise ClinbertError(f"{name}: it has no {what} to carry: take that out of carry, or convert the corpus anew")
    if what == SENTS:
        for token, own in zip(gold, predicted):
            own.is_sent_start = token.is_sent_start
    elif what == ENTS:
        predicted.ents = [Span(predicted, ent.start, ent.end, label=ent.label) for ent in gold.ents]
    else:
        predicted.spans[key] = gold.spans[key].copy(doc=predicted)
