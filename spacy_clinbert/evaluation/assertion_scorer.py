"""`spacy_clinbert.assertion_scorer.v1`: assertions scored as i2b2 2010 scores them, given the entities."""

from functools import partial
from typing import Any, Callable, Dict, Iterable, List, Mapping, Tuple

from spacy import registry
from spacy.tokens import Doc
from spacy.training import Example

from .counts import Counts, by_label, macro, micro, score

# First and last character, end exclusive, of each piece of a mention, and its label.
Place = Tuple[Tuple[Tuple[int, int], ...], str]


@registry.scorers("spacy_clinbert.assertion_scorer.v1")
def make_assertion_scorer(spans_key: str = "clinbert_assertion") -> Callable:
    """Make the scorer.

    spans_key (str): the span group of the predicted assertions.
    RETURNS (Callable): scores examples; see `score_assertions`.
    """
    return partial(score_assertions, spans_key=spans_key)


def score_assertions(
    examples: Iterable[Example], *, spans_key: str = "clinbert_assertion", **kwargs: Any
) -> Dict[str, Any]:
    """Score assertions of the gold entities, by characters.

    examples (Iterable[Example]): predicted and gold Docs; Docs without gold assertions are left out.
    spans_key (str): see `make_assertion_scorer`.
    RETURNS (Dict[str, Any]): `assertion_p`, `assertion_r`, `assertion_f` over all assertions (the challenge's
        micro-averaged F1; Uzuner et al. 2011, JAMIA 18:552), `assertion_macro_f`, the mean over the classes, and
        `assertion_per_type`. All None where no Doc has gold assertions.
    """
    golds = [(gold_assertions(example.reference), example.predicted) for example in examples]
    rows = [assertion_row(gold, predicted_assertions(doc, spans_key)) for gold, doc in golds if gold]
    names = ("assertion_p", "assertion_r", "assertion_f", "assertion_macro_f", "assertion_per_type")
    if not rows:
        return dict.fromkeys(names)
    labels = {name: score(counts) for name, counts in by_label(rows).items()}
    per_type = {name: dict(zip("prf", (value or 0.0 for value in one))) for name, one in labels.items()}
    return dict(zip(names, [*(value or 0.0 for value in micro(rows)), macro(rows).f, per_type]))


def gold_assertions(doc: Doc) -> Dict[Place, str]:
    """The gold assertions of a Doc of `clinbert convert`, by place.

    doc (Doc): a Doc whose `user_data` holds `clinbert_gold` and `clinbert_assertions` (see `corpora.docs.make_doc`).
    RETURNS (Dict[Place, str]): what is asserted of each mention; nothing where the corpus says nothing.
    """
    found: Dict[Place, str] = {}
    mentions: List[Any] = doc.user_data.get("clinbert_gold", ())
    for (fragments, label), assertion in zip(mentions, doc.user_data.get("clinbert_assertions", ())):
        if assertion:
            found.setdefault((tuple(map(tuple, fragments)), label), assertion)
    return found


def predicted_assertions(doc: Doc, spans_key: str) -> Dict[Place, str]:
    """The assertions that `clinbert_assertion` wrote to a Doc, by place.

    doc (Doc): the Doc.
    spans_key (str): the span group.
    RETURNS (Dict[Place, str]): what is asserted of each entity.
    """
    group = doc.spans.get(spans_key, ())
    assertions = group.attrs.get("assertions", ()) if len(group) else ()
    return {(((span.start_char, span.end_char),), span.label_): one for span, one in zip(group, assertions)}


def assertion_row(gold: Mapping[Place, str], predicted: Mapping[Place, str]) -> Dict[str, Counts]:
    """Count the assertions of one document.

    The challenge gave the concepts. Where they are predicted, a gold mention that is no entity counts as missed; an
    entity that is no gold mention is no error of its assertion, and is left out.

    gold (Mapping[Place, str]), predicted (Mapping[Place, str]): assertions by place.
    RETURNS (Dict[str, Counts]): counts by assertion.
    """
    pairs = [(assertion, predicted.get(place)) for place, assertion in gold.items()]
    names = sorted({name for pair in pairs for name in pair if name is not None})
    row = {}
    for name in names:
        right = pairs.count((name, name))
        row[name] = Counts(
            right, sum(given == name for _, given in pairs), right, sum(truth == name for truth, _ in pairs)
        )
    return row
