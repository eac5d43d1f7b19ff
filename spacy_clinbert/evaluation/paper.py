"""The score `paper`: a pipeline run on the lines and tokens of the papers, each line alone and cut at 150 wordpieces.

ClinicalBERT's NER (Alsentzer et al. 2019) reads lines of tokens, of each line 150 wordpieces, `[CLS]` and `[SEP]`
included; what stands beyond is tagged O. Its tags are compared after an I that continues nothing is made a B.
"""

import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate, islice
from typing import List, NamedTuple, Optional, Sequence, Tuple

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import filter_spans

from ..corpora.formats import Format
from ..corpora.paper_lines import tag
from ..models.transformer_shim import find_shims
from ..models.wordpieces import Wordpieces
from .conll import TagPair
from .gold import GoldDoc
from .predictions import ill_formed, mention_spans, place, run_pipeline, tags_by_label

MAX_PIECES = 150
BATCH = 4
# They cut and name parts of a whole note; a paper's line is a sentence as it is.
RULES = {"clinbert_placeholders", "clinbert_sections", "clinbert_sentences", "sentencizer", "senter"}


class PaperDoc(NamedTuple):
    """A document in the papers' lines.

    lines (Sequence[TagPair]): gold and predicted tags of the tokens of each line, as they come, not repaired; from
        `clinbert_spans`, the lines come once for each label.
    number (int): number of lines.
    cut (int): lines longer than 150 wordpieces.
    beyond (int): gold mentions that begin behind the cut, counted as their B tags.
    """

    lines: Sequence[TagPair]
    number: int
    cut: int
    beyond: int


def predict_lines(nlp: Language, form: Format, docs: Iterable[GoldDoc], spans_key: Optional[str]) -> Iterator[PaperDoc]:
    """Run a pipeline over the papers' lines; its rules for sections and sentences do not run.

    nlp (Language): the pipeline. Without an encoder of ours, lines are not cut.
    form (Format): the form of the corpus, which says how its lines and tokens are cut.
    docs (Iterable[GoldDoc]): the documents.
    spans_key (Optional[str]): key in `doc.spans` of the mentions, of overlapping ones the longest, but each label by
        itself where they come from `clinbert_spans`; None for `doc.ents`.
    YIELDS (PaperDoc): the tags of each document.
    RAISES (ClinbertError): if it fails on a document.
    """
    pieces = find_wordpieces(nlp)
    by_label = tags_by_label(nlp, spans_key)
    rules = {name for name in nlp.pipe_names if nlp.get_pipe_meta(name).factory in RULES}

    def words(gold: GoldDoc) -> List[List[str]]:
        lines = form.paper_lines(gold.text, gold.mentions)
        return [cut_line([gold.text[start:end] for start, end in line], pieces) for line in lines]

    def make(gold: GoldDoc) -> List[Doc]:
        # The whole line is one sentence, and said to be.
        return [Doc(nlp.vocab, words=line, sent_starts=[at == 0 for at in range(len(line))]) for line in words(gold)]

    remaining = iter(docs)
    while batch := list(islice(remaining, BATCH)):
        with warnings.catch_warnings():
            # An encoder trained on whole notes rightly says that these are cut in another way.
            warnings.filterwarnings("ignore", message="NoteEncoder: this Doc comes")
            docs_of = run_pipeline(nlp, make, batch, rules)
        for gold, annotated in zip(batch, docs_of):
            whole = list(form.paper_lines(gold.text, gold.mentions))
            kept = words(gold)
            labels = {one.label for one in gold.mentions}
            labels |= {span.label_ for doc in annotated for span in mention_spans(doc, spans_key)}
            layers: List[Optional[str]] = [*sorted(labels)] if by_label and labels else [None]
            lines: List[TagPair] = []
            beyond = 0
            for label in layers:
                tagged = tag(whole, [one for one in gold.mentions if label in (None, one.label)])
                truth = [[one for _, _, one in line] for line in tagged]
                lines += [
                    (tags, predicted_tags(doc, line, len(tags), spans_key, label))
                    for tags, line, doc in zip(truth, kept, annotated)
                ]
                beyond += sum(one[0] == "B" for tags, line in zip(truth, kept) for one in tags[len(line) :])
            yield PaperDoc(lines, len(whole), sum(len(line) < len(one) for line, one in zip(kept, whole)), beyond)


def predicted_tags(
    doc: Doc, words: Sequence[str], length: int, spans_key: Optional[str], label: Optional[str] = None
) -> List[str]:
    """The tags of a line.

    doc (Doc): the line as the pipeline left it; a component may have merged or split its words.
    words (Sequence[str]): the words that the pipeline was given, a blank after each: those behind the cut left out.
    length (int): number of tokens of the whole line.
    spans_key (Optional[str]): key in `doc.spans` of the mentions; None for `doc.ents`.
    label (Optional[str]): the label whose mentions are tagged; None for all, of overlapping ones the longest.
    RETURNS (List[str]): a tag for each token; O behind the cut.
    """
    tags = ["O"] * length
    flags = ill_formed(doc, spans_key)
    starts = list(accumulate((len(word) + 1 for word in words), initial=0))
    for span in filter_spans(span for span in mention_spans(doc, spans_key) if label in (None, span.label_)):
        first, end = bisect_right(starts, span.start_char) - 1, bisect_left(starts, span.end_char)
        tags[first:end] = [f"I-{span.label_}"] * (end - first)
        if place(span) not in flags:
            tags[first] = f"B-{span.label_}"
    return tags


def cut_line(words: Sequence[str], pieces: Optional[Wordpieces]) -> List[str]:
    """Cut a line at 150 wordpieces.

    words (Sequence[str]): its tokens.
    pieces (Optional[Wordpieces]): cuts words into the model's wordpieces; None to cut nothing.
    RETURNS (List[str]): the tokens that begin within the limit, the last one as far as it lies within.
    """
    if pieces is None:
        return list(words)
    room = MAX_PIECES - pieces.n_specials
    kept: List[str] = []
    for word in words:
        if room <= 0:
            break
        ids = pieces.cut(word)
        if len(ids) > room:
            encoded = pieces.tokenizer.backend_tokenizer.encode(word, add_special_tokens=False)
            word = word[: encoded.offsets[room - 1][1]]
        kept.append(word)
        room -= len(ids)
    return kept


def find_wordpieces(nlp: Language) -> Optional[Wordpieces]:
    """Find the tokenizer of a pipeline's encoder.

    nlp (Language): the pipeline.
    RETURNS (Optional[Wordpieces]): the wordpieces of its first encoder of ours; None where it has none.
    """
    return next((shim.pieces for shim in find_shims(nlp)), None)


def repair(tags: Sequence[str]) -> List[str]:
    """Make each I that continues no mention of its label a B.

    tags (Sequence[str]): the IOB tags of a line.
    RETURNS (List[str]): the same in IOB2.
    """
    repaired: List[str] = []
    for number, one in enumerate(tags):
        continued = number > 0 and tags[number - 1] != "O" and tags[number - 1][2:] == one[2:]
        repaired.append(f"B{one[1:]}" if one[0] == "I" and not continued else one)
    return repaired


def repaired(doc: PaperDoc) -> List[Tuple[List[str], List[str]]]:
    """The lines of a document with gold and predicted tags repaired.

    doc (PaperDoc): the document.
    RETURNS (List[Tuple[List[str], List[str]]]): its lines.
    """
    return [(repair(gold), repair(predicted)) for gold, predicted in doc.lines]
