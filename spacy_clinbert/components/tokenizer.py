"""`spacy_clinbert.ClinicalTokenizer.v1`: scispaCy's tokenizer, with each placeholder one token."""

import re
import warnings
from types import SimpleNamespace
from typing import Any, Callable, List, Union

import numpy
from spacy.attrs import NORM, ORTH, SPACY
from spacy.language import Language, create_tokenizer
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc
from spacy.util import get_lang_class, registry
from spacy.vocab import create_vocab

from ..rules import find_placeholders

PUNCTUATION_INSIDE = r"(?<=\w)[^\w\s](?=\w)"


class ClinicalTokenizer(Tokenizer):
    """A spaCy tokenizer that makes one token of each placeholder and leaves the stretches between them to its rules.

    Neither `token_match`, which sees no blank, nor a merge afterwards, which breaks span groups and the alignment of
    gold annotations, can do this.
    """

    def __call__(self, text: str) -> Doc:
        """Tokenize a text.

        text (str): The text.
        RETURNS (Doc): The Doc; `doc.text == text`.
        """
        placeholders = find_placeholders(text)
        if not placeholders:
            return super().__call__(text)
        words: List[Union[int, str]] = []
        spaces: List[bool] = []
        norms: List[int] = []
        end = 0
        for placeholder in placeholders:
            self._extend(text[end : placeholder.start], words, spaces, norms)
            words.append(text[placeholder.start : placeholder.end])
            norms.append(self.vocab[words[-1]].norm)
            end = placeholder.end
            # As everywhere in spaCy, a single blank belongs to the token before it.
            spaces.append(text.startswith(" ", end))
            end += spaces[-1]
        self._extend(text[end:], words, spaces, norms)
        doc = Doc(self.vocab, words=words, spaces=spaces)  # type: ignore[arg-type]
        # The rules' special cases carry norms ("n't": "not") that a Doc made of words does not know.
        doc.from_array([NORM], numpy.asarray(norms, dtype="uint64"))  # type: ignore[arg-type]
        return doc

    def _extend(self, text: str, words: List[Union[int, str]], spaces: List[bool], norms: List[int]) -> None:
        if text:
            array = super().__call__(text).to_array([ORTH, SPACY, NORM])
            words.extend(array[:, 0].tolist())
            spaces.extend(array[:, 1].astype(bool).tolist())
            norms.extend(array[:, 2].tolist())


@registry.tokenizers("spacy_clinbert.ClinicalTokenizer.v1")
def create_clinical_tokenizer(fine: bool = False) -> Callable[[Language], ClinicalTokenizer]:
    """Make the function that builds the clinical tokenizer of a pipeline, for the block `[nlp.tokenizer]` of a config.

    fine (bool): Cut words at each punctuation mark inside them too, as BERT does: corpora of de-identification annotate
        parts of words, such as 03/04 in 03/04/2101, which no coarser token can hold.
    RETURNS (Callable[[Language], ClinicalTokenizer]): From the pipeline to its tokenizer, with the rules of scispaCy's
        `combined_rule_tokenizer` (Neumann et al. 2019) and the tokenizer exceptions of the pipeline's language.
    """

    def make_tokenizer(nlp: Any) -> ClinicalTokenizer:
        from scispacy.custom_tokenizer import combined_rule_tokenizer

        # scispaCy reads `nlp.tokenizer`, which a pipeline under construction does not have yet.
        default = create_tokenizer()(nlp)
        with warnings.catch_warnings():
            # Python warns of a character class in scispaCy's infixes, which a user can do nothing about.
            warnings.simplefilter("ignore", FutureWarning)
            rules = combined_rule_tokenizer(SimpleNamespace(vocab=nlp.vocab, Defaults=nlp.Defaults, tokenizer=default))
        infixes = rules.infix_finditer
        if fine:
            infixes = re.compile(rf"{infixes.__self__.pattern}|{PUNCTUATION_INSIDE}").finditer
        return ClinicalTokenizer(
            rules.vocab,
            rules.rules,
            prefix_search=rules.prefix_search,
            suffix_search=rules.suffix_search,
            infix_finditer=infixes,
            token_match=rules.token_match,
        )

    return make_tokenizer


def tokenizer_of(lang: str, fine: bool = False) -> ClinicalTokenizer:
    """The clinical tokenizer of a language without a pipeline, for which spaCy imports every component installed.

    lang (str): A language code, such as en or pt.
    fine (bool): As in `create_clinical_tokenizer`.
    RETURNS (ClinicalTokenizer): The tokenizer, with a vocabulary of its own.
    RAISES (ImportError): If spaCy knows no such language.
    """
    defaults = get_lang_class(lang).Defaults
    return create_clinical_tokenizer(fine)(SimpleNamespace(vocab=create_vocab(lang, defaults), Defaults=defaults))
