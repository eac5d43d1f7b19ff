"""`spacy_clinbert.spans_scorer.v1`: mentions that overlap, scored layer by layer."""

from typing import Any, Callable, Dict, Iterable, List, Optional

from spacy import registry
from spacy.training import Example

from ..corpora.gold_spans import gold_mentions
from ..corpora.records import Mention
from .counts import Score, by_label, macro, micro, score
from .scored import ScoredDoc


@registry.scorers("spacy_clinbert.spans_scorer.v1")
def make_spans_scorer() -> Callable:
    """Make the scorer.

    RETURNS (Callable): scores examples; see `score_spans`.
    """
    return score_spans


def score_spans(
    examples: Iterable[Example], *, spans_key: str, gold_key: Optional[str], **kwargs: Any
) -> Dict[str, Any]:
    """Score span groups by character offsets, so that gold and prediction may be tokenized differently.

    A mention is right if its characters and its label are: seqeval's strict IOB2, layer by layer. Gold mentions that no
    layer can hold (overlaps of one label, discontinuous, off tokens) count as missed, where `clinbert convert` kept
    them.

    examples (Iterable[Example]): predicted and gold Docs; Docs without gold annotation are left out.
    spans_key (str), gold_key (Optional[str]): the span groups of predictions and gold; `clinbert_spans` gives its own.
    RETURNS (Dict[str, Any]): `spans_p`, `spans_r` and `spans_f` over all layers; `spans_macro_p`, `spans_macro_r` and
        `spans_macro_f`, the means over the layers; `spans_per_type`. All None where no Doc has gold annotation; what is
        undefined otherwise is 0, as in `spacy_clinbert.seqeval_scorer.v1`.
    """
    # Not at import: spaCy imports this module at every start, and SciPy is slow to import.
    from .matching import exact_rows

    docs: List[ScoredDoc] = []
    for number, example in enumerate(examples):
        gold = gold_mentions(example.reference, gold_key)
        if gold is not None:
            found = example.predicted.spans.get(spans_key, ())
            predicted = tuple(Mention(((span.start_char, span.end_char),), span.label_) for span in found)
            docs.append(ScoredDoc(str(number), gold, predicted))
    rows = exact_rows(docs)
    scores: Dict[str, Any] = {}
    for prefix, average in (("spans", micro), ("spans_macro", macro)):
        scores |= {f"{prefix}_{name}": value for name, value in _defined(average(rows)).items()}
    scores["spans_per_type"] = {label: _defined(score(counts)) for label, counts in by_label(rows).items()}
    return scores if docs else dict.fromkeys(scores)


def _defined(one: Score) -> Dict[str, float]:
    return {name: value or 0.0 for name, value in one._asdict().items()}
