"""`spacy_clinbert.seqeval_scorer.v1`: entities scored as the papers score, by seqeval."""

from functools import partial
from typing import Any, Callable, Dict, Iterable, List, Sequence, Tuple

from spacy import registry
from spacy.tokens import Doc, Span
from spacy.training import Example

Mention = Tuple[int, int, str, bool]


@registry.scorers("spacy_clinbert.seqeval_scorer.v1")
def make_seqeval_scorer(spans_key: str = "clinbert_ner") -> Callable:
    """Make the scorer.

    spans_key (str): span group in which `clinbert_ner` says which of its mentions began with an I (`decoding =
        "argmax"`).
    RETURNS (Callable): scores examples; see `score_entities`.
    """
    return partial(score_entities, spans_key=spans_key)


def score_entities(examples: Iterable[Example], *, spans_key: str = "clinbert_ner", **kwargs: Any) -> Dict[str, Any]:
    """Score `doc.ents` by character offsets, so that gold and prediction may be tokenized differently.

    examples (Iterable[Example]): predicted and gold Docs; Docs without gold annotation are left out.
    spans_key (str): see `make_seqeval_scorer`.
    RETURNS (Dict[str, Any]): `ents_p`, `ents_r`, `ents_f` and `ents_per_type` by seqeval's strict mode with IOB2, and
        `ents_conll_p`, `ents_conll_r`, `ents_conll_f`, which also count a mention that begins with an I (as conlleval
        does). All None where no Doc has gold annotation.
    """
    from seqeval.metrics import classification_report, f1_score, precision_score, recall_score
    from seqeval.scheme import IOB2

    gold: List[List[str]] = []
    predicted: List[List[str]] = []
    for example in examples:
        if example.reference.has_annotation("ENT_IOB"):
            pair = tag_pieces(gold_mentions(example.reference), predicted_mentions(example.predicted, spans_key))
            gold.append(pair[0])
            predicted.append(pair[1])
    names = ("ents_p", "ents_r", "ents_f", "ents_conll_p", "ents_conll_r", "ents_conll_f")
    if not gold:
        return {**dict.fromkeys(names), "ents_per_type": None}
    if all(tag == "O" for tags in (*gold, *predicted) for tag in tags):
        # seqeval divides by the number of types, which is none here.
        return {**dict.fromkeys(names, 0.0), "ents_per_type": {}}
    strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    report = classification_report(gold, predicted, output_dict=True, **strict)
    return {
        "ents_p": float(report["micro avg"]["precision"]),
        "ents_r": float(report["micro avg"]["recall"]),
        "ents_f": float(report["micro avg"]["f1-score"]),
        "ents_conll_p": float(precision_score(gold, predicted, zero_division=0)),
        "ents_conll_r": float(recall_score(gold, predicted, zero_division=0)),
        "ents_conll_f": float(f1_score(gold, predicted, zero_division=0)),
        "ents_per_type": {
            label: {"p": float(row["precision"]), "r": float(row["recall"]), "f": float(row["f1-score"])}
            for label, row in report.items()
            if label not in ("micro avg", "macro avg", "weighted avg")
        },
    }


def gold_mentions(doc: Doc) -> List[Mention]:
    """The gold entities as (start, end, label, began with a B), in characters."""
    return [(ent.start_char, ent.end_char, ent.label_, True) for ent in doc.ents]


def predicted_mentions(doc: Doc, spans_key: str) -> List[Mention]:
    """The predicted entities likewise; those of `clinbert_ner` know whether they began with a B."""
    begun: Dict[Tuple[int, int, str], bool] = {}
    if spans_key in doc.spans:
        group = doc.spans[spans_key]
        begun = {key(span): flag for span, flag in zip(group, group.attrs.get("well_formed", []))}
    return [(ent.start_char, ent.end_char, ent.label_, begun.get(key(ent), True)) for ent in doc.ents]


def key(span: Span) -> Tuple[int, int, str]:
    """A mention's place and label."""
    return span.start_char, span.end_char, span.label_


def tag_pieces(gold: Sequence[Mention], predicted: Sequence[Mention]) -> Tuple[List[str], List[str]]:
    """Tag the same pieces of a text twice: it is cut at the bounds of all mentions, gold or predicted, so that each
    falls on bounds.

    gold (Sequence[Mention]): disjoint.
    predicted (Sequence[Mention]): disjoint.
    RETURNS (Tuple[List[str], List[str]]): IOB2 tags of gold and of prediction, of equal length.
    """
    # A piece more at the end, outside of all, keeps the last mention of one Doc apart from the first of the next.
    cuts = sorted({bound for mention in (*gold, *predicted) for bound in mention[:2]})
    place = {cut: i for i, cut in enumerate(cuts)}

    def tag(mentions: Sequence[Mention]) -> List[str]:
        tags = ["O"] * max(len(cuts), 1)
        for start, end, label, begun in mentions:
            for i in range(place[start], place[end]):
                tags[i] = f"I-{label}" if i > place[start] or not begun else f"B-{label}"
        return tags

    return tag(gold), tag(predicted)
