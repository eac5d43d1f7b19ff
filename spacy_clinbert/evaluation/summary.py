"""From counts by document to what `metrics.json` holds: micro and macro scores, intervals, scores by label."""

from typing import Any, Callable, Dict, NamedTuple, Optional

from .counts import Rows, Score, by_label, macro, macro_by_document, micro, score, weighted
from .resampling import intervals


class Average(NamedTuple):
    """An average that a challenge reports beside micro F1.

    name (str): its name.
    of (Callable[[Rows], Score]): computes it.
    """

    name: str
    of: Callable[[Rows], Score]


# By form. BioBERTpt's paper does not say which average its table of SemClinBr holds.
AVERAGES: Dict[str, Average] = {
    "i2b2_2014": Average("macro by document", macro_by_document),
    "semclinbr": Average("weighted", weighted),
}


def summarise(rows: Rows, average: Optional[Average] = None) -> Dict[str, Any]:
    """Make scores of counts.

    rows (Rows): counts by document and label.
    average (Optional[Average]): one more average.
    RETURNS (Dict[str, Any]): "micro" and "macro" score, "intervals" of the micro score, and "labels": score and counts
        by label. What is undefined is None.
    """
    summary: Dict[str, Any] = {
        "micro": micro(rows)._asdict(),
        "intervals": intervals(rows),
        "macro": macro(rows)._asdict(),
        "labels": {label: {**score(one)._asdict(), **one._asdict()} for label, one in by_label(rows).items()},
    }
    if average:
        summary[average.name] = average.of(rows)._asdict()
    return summary
