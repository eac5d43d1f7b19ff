"""`spacy_clinbert.Sentences.v1`: a corpus reader that gives each sentence as an example, as the papers train.

[corpora.train]
@readers = "spacy_clinbert.Sentences.v1"
path = ${paths.train}

A batch of whole notes holds a hundred sentences a note; the papers' batches hold 16 or 32 sentences.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Tuple, Union

from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.util import registry
from spacy.vocab import Vocab

from ..corpora.docs import GOLD
from ..errors import ClinbertError

# Key of the entities among the span groups, none of which is named so.
ENTS = ""
FORMAT = "clinbert_format"
# By key of the group, first token, end and label of each span.
Marked = Dict[str, List[Tuple[int, int, int]]]


@registry.readers("spacy_clinbert.Sentences.v1")
def make_sentences_reader(path: Union[str, Path], lexicon: str = "en") -> "Sentences":
    """Make a reader of sentences.

    path (Union[str, Path]): a .spacy file, such as `clinbert convert` writes.
    lexicon (str): section titles, as in `clinbert_sections`: "en", "pt" or a JSON file.
    RETURNS (Sentences): the reader.
    """
    return Sentences(Path(path), lexicon)


class Sentences:
    """Gives an example for each sentence of a corpus, cut by the rules of `clinbert_sections` and `clinbert_sentences`.

    An entity or span that runs over the end of a sentence is cut there; sentences of blanks alone are left out. Of the
    gold that `clinbert convert` kept as annotated, a sentence has the mentions that begin in it.

    path (Path): a .spacy file; lexicon (str): section titles, as in `clinbert_sections`.
    """

    def __init__(self, path: Path, lexicon: str = "en") -> None:
        self.path = path
        self.lexicon = lexicon

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Read the sentences.

        nlp (Language): the pipeline, for its vocabulary.
        YIELDS (Example): a bare Doc with the tokens of the sentence, and the annotated one.
        RAISES (ClinbertError): if the file cannot be read.
        """
        for sentence, marked, kept in _sentences(self.path, self.lexicon, nlp.vocab):
            reference = sentence.as_doc()
            spans = {key: [Span(reference, *one) for one in ones] for key, ones in marked.items()}
            reference.ents = spans.pop(ENTS)
            for key, group in spans.items():
                reference.spans[key] = group
            reference.user_data.update(kept)
            words, spaces = [token.text for token in reference], [bool(token.whitespace_) for token in reference]
            yield Example(Doc(nlp.vocab, words=words, spaces=spaces), reference)

    def __len__(self) -> int:
        """Count the sentences; the file is read, once as long as it does not change."""
        if not self.path.is_file():
            raise _no_docbin(self.path)
        return _count(self.path, self.lexicon, self.path.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _count(path: Path, lexicon: str, changed: int) -> int:
    return sum(1 for _ in _sentences(path, lexicon, Vocab()))


def _sentences(path: Path, lexicon: str, vocab: Vocab) -> Iterator[Tuple[Span, Marked, Dict[str, Any]]]:
    """Each sentence; its entities and spans, of which `Span.as_doc` loses those that run beyond; its gold as kept."""
    # Not at import: spaCy imports this module at every start.
    from ..components.sections import SectionSplitter
    from ..components.sentences import SentenceSplitter

    sections, sentences = SectionSplitter(lexicon=lexicon), SentenceSplitter()
    try:
        docs = DocBin().from_disk(path).get_docs(vocab)
    except Exception:
        # zlib, msgpack and spaCy each complain in their own way, and may quote what they could not read.
        raise _no_docbin(path) from None
    for doc in docs:
        # Before the rules write groups of theirs.
        groups = {ENTS: doc.ents, **doc.spans}
        marked = {key: [(span.start, span.end, span.label) for span in group] for key, group in groups.items()}
        for sentence in sentences(sections(doc)).sents:
            if all(token.is_space for token in sentence):
                continue
            first, end = sentence.start, sentence.end
            inside = {
                key: [(max(a, first) - first, min(b, end) - first, c) for a, b, c in ones if a < end and b > first]
                for key, ones in marked.items()
            }
            yield sentence, inside, _kept(sentence)


def _kept(sentence: Span) -> Dict[str, Any]:
    """The gold of a sentence as `clinbert convert` kept it for the document, in characters of the sentence."""
    kept = sentence.doc.user_data
    if GOLD not in kept:
        return {}
    begin, end = sentence.start_char, sentence[-1].idx + len(sentence[-1].text_with_ws)
    gold = tuple(
        (tuple((start - begin, stop - begin) for start, stop in fragments), label)
        for fragments, label in kept[GOLD]
        if begin <= fragments[0][0] < end
    )
    return {GOLD: gold, FORMAT: kept[FORMAT]}


def _no_docbin(path: Path) -> ClinbertError:
    return ClinbertError(f"{path} is no .spacy file that can be read: give one that `clinbert convert` wrote")
