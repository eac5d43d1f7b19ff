"""Systems side by side on one test set, each with runs of several seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ..errors import ClinbertError
from .counts import Score, array
from .resampling import holm, permutation_test, scores
from .run import Run


class System(NamedTuple):
    """A system's scores.

    name (str): its name.
    runs (int): number of its runs.
    score (Score): micro precision, recall and F1 of the counts averaged over the runs.
    spread (Optional[Tuple[float, float]]): lowest and highest F1 of the runs; None for one run or an undefined F1.
    """

    name: str
    runs: int
    score: Score
    spread: Optional[Tuple[float, float]]


class Contrast(NamedTuple):
    """A system against the first one.

    name (str): the system.
    difference (float): its micro F1 less that of the first system.
    p (float): see `resampling.permutation_test`.
    adjusted (float): p, Holm-adjusted over all contrasts of all metrics.
    """

    name: str
    difference: float
    p: float
    adjusted: float


class Comparison(NamedTuple):
    """A metric of all systems.

    metric (str): its name.
    systems (List[System]): the systems, in the order of their first runs.
    contrasts (List[Contrast]): each system but the first, where F1 of both is defined.
    """

    metric: str
    systems: List[System]
    contrasts: List[Contrast]


def compare(runs: Sequence[Tuple[Path, Run]]) -> List[Comparison]:
    """Compare systems in each metric that all runs have.

    runs (Sequence[Tuple[Path, Run]]): runs and their folders; those of one system differ in seed.
    RETURNS (List[Comparison]): the metrics, in the order of the first run.
    RAISES (ClinbertError): if there are not two systems, a run is there twice, or test sets or metrics differ.
    """
    systems = _by_system(runs)
    metrics = [name for name in runs[0][1].rows if all(name in run.rows for _, run in runs)]
    if not metrics:
        raise ClinbertError(f"{runs[0][0]}: the runs have no metric in common: evaluate them in the same way")
    compared, tested = [], []
    for metric in metrics:
        counts = {name: [_ordered(run, metric) for run in of_one] for name, of_one in systems.items()}
        compared.append(Comparison(metric, [_system(name, arrays) for name, arrays in counts.items()], []))
        (_, first), *others = counts.items()
        for name, arrays in others:
            if _score(first).f is not None and _score(arrays).f is not None:
                tested.append((compared[-1], name, permutation_test(first, arrays)))
    for (comparison, name, test), adjusted in zip(tested, holm([test.p for _, _, test in tested])):
        comparison.contrasts.append(Contrast(name, *test, adjusted))
    return compared


def _by_system(runs: Sequence[Tuple[Path, Run]]) -> Dict[str, List[Run]]:
    systems: Dict[str, List[Run]] = {}
    seen: Dict[Tuple[str, Optional[int]], Path] = {}
    for folder, run in runs:
        before, other = runs[0]
        if run.checksum != other.checksum or sorted(run.ids) != sorted(other.ids):
            raise ClinbertError(
                f"{before} and {folder} were evaluated on different test sets: evaluate both on the same one"
            )
        twin = seen.setdefault((run.system, run.seed), folder)
        if twin is not folder:
            seed = "no known seed" if run.seed is None else f"seed {run.seed}"
            raise ClinbertError(
                f"{twin} and {folder} are both {run.system} with {seed}: give each run once, and systems names of"
                " their own by `clinbert evaluate --system`"
            )
        systems.setdefault(run.system, []).append(run)
    if len(systems) < 2:
        raise ClinbertError(
            f"{runs[0][0]}: all runs are of the system {runs[0][1].system}: give runs of two systems at least"
        )
    return systems


def _ordered(run: Run, metric: str) -> np.ndarray:
    return array(run.rows[metric])[np.argsort(run.ids, kind="stable")]


def _score(runs: Sequence[np.ndarray]) -> Score:
    values = scores(np.mean(runs, axis=0).sum(axis=0))
    return Score(*(None if np.isnan(value) else float(value) for value in values))


def _system(name: str, runs: Sequence[np.ndarray]) -> System:
    each = [f for f in (_score([run]).f for run in runs) if f is not None]
    return System(name, len(runs), _score(runs), (min(each), max(each)) if len(each) > 1 else None)
