"""What every sequence model has to beat: logistic regression, random forest and gradient boosting on a bag of codes.

The first two as Rasmy et al. 2021 (npj Digital Medicine 4:86) had them beside Med-BERT. Each code of the vocabulary is
a feature that says whether the patient ever had it; all codes until the prediction count, not only the latest.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np
import polars as pl
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ..errors import ClinbertError
from ..models.code_styles import SPECIALS
from .code_vocabulary import read_codes
from .cohort_folder import LABELS
from .ehr_manifest import CODES, read_manifest
from .evaluated_cohort import read_evaluated_cohort
from .labels import write_predictions
from .predictions import PROBABILITY
from .schemas import SEQUENCES

# Scikit-learn's boosting wants a dense table: the most frequent codes only, which bounds the memory.
DENSE_CODES = 1000


class Bags(NamedTuple):
    """Patients as bags of codes.

    ids (List[str]): of the patients; has (csr_array): 1 where one has a code, shape (patients, codes).
    truth (ndarray): whether the outcome came, shape (patients,).
    """

    ids: List[str]
    has: sparse.csr_array
    truth: np.ndarray


class Baseline(NamedTuple):
    """A kind of model.

    make (Callable[[Dict[str, Any], int], Any]): makes one with settings and a seed.
    grid (List[Dict[str, Any]]): the settings to choose from; equal ones are decided for the first.
    random (bool): whether the seed matters.
    dense (bool): whether it wants a dense table.
    """

    make: Callable[[Dict[str, Any], int], Any]
    grid: List[Dict[str, Any]]
    random: bool = False
    dense: bool = False


class Fitted(NamedTuple):
    """What was chosen for a baseline: settings (Dict[str, Any]), and auroc (float) with them on the valid split."""

    settings: Dict[str, Any]
    auroc: float


def _logistic(settings: Dict[str, Any], seed: int) -> Any:
    return LogisticRegression(max_iter=2000, **settings)


def _forest(settings: Dict[str, Any], seed: int) -> Any:
    return RandomForestClassifier(n_estimators=300, random_state=seed, n_jobs=-1, **settings)


def _boosting(settings: Dict[str, Any], seed: int) -> Any:
    return HistGradientBoostingClassifier(early_stopping=False, random_state=seed, **settings)


# Neither paper nor its code says which settings were searched: these grids are ours. `C` is the inverse of L2.
BASELINES: Dict[str, Baseline] = {
    "logistic": Baseline(_logistic, [{"C": c} for c in (0.1, 1.0, 0.01, 0.001, 10.0)]),
    "forest": Baseline(_forest, [{"min_samples_leaf": n} for n in (1, 3, 10)], random=True),
    "boosting": Baseline(
        _boosting,
        [
            {"learning_rate": rate, "max_iter": trees, "max_leaf_nodes": leaves}
            for rate, trees in ((0.1, 100), (0.03, 300))
            for leaves in (31, 7)
        ],
        dense=True,
    ),
}


def run_baselines(
    cohort: Path,
    out: Path,
    draws: Sequence[int] = (0,),
    names: Sequence[str] = tuple(BASELINES),
    test_on: Optional[Path] = None,
) -> Dict[str, Fitted]:
    """Fit baselines on the train split of a cohort, with the settings that are best on the valid split, and write
    their predictions for a test split.

    cohort (Path): a folder that `clinbert ehr cohort` wrote.
    out (Path): folder for SYSTEM.DRAW.parquet; what is no draw of chance has the first draw only.
    draws (Sequence[int]): seeds; names (Sequence[str]): which of `BASELINES`.
    test_on (Optional[Path]): the cohort whose test split it is, of any source; None for the same.
    RETURNS (Dict[str, Fitted]): what was chosen.
    RAISES (ClinbertError): if the cohort cannot be used, or all of its training patients have the same outcome.
    """
    train, valid = (read_bags(cohort, split) for split in ("train", "valid"))
    tested = test_on or cohort
    test = read_bags(tested, "test", read_codes(cohort / CODES))
    if len(np.unique(train.truth)) < 2:
        raise ClinbertError(f"{cohort}: all training patients have the same outcome: make a larger cohort")
    source = read_evaluated_cohort(cohort).source
    found = {}
    for name in names:
        baseline = BASELINES[name]
        scores = [_score(_fit(baseline, settings, 0, train, valid), valid.truth) for settings in baseline.grid]
        best = int(np.argmax(scores))
        found[name] = Fitted(baseline.grid[best], scores[best])
        for draw in draws if baseline.random else draws[:1]:
            probabilities = _fit(baseline, baseline.grid[best], draw, train, test)
            table = pl.DataFrame({"subject_id": test.ids, PROBABILITY: probabilities})
            write_predictions(tested / LABELS, table, out / f"{name}.{draw}.parquet", source)
    return found


def read_bags(cohort: Path, split: str, keys: Optional[Sequence[str]] = None) -> Bags:
    """Read the patients of a split.

    cohort (Path): a folder that `clinbert ehr cohort` wrote; split (str): "train", "valid" or "test".
    keys (Optional[Sequence[str]]): the vocabulary by whose codes patients are described; None for the cohort's own.
    RETURNS (Bags): the patients.
    RAISES (ClinbertError): if the split is empty, a file cannot be read, or a label is missing.
    """
    shards = read_manifest(cohort).split(split)
    if not shards:
        raise ClinbertError(f"{cohort} has no patients for {split}: make a larger cohort, or with other shares")
    try:
        table = pl.concat([pl.read_parquet(cohort / shard.name) for shard in shards])
    except (OSError, pl.exceptions.PolarsError):
        raise ClinbertError(f"{cohort} lacks files or has damaged ones: make the cohort again with --replace") from None
    labels = [name for name in table.columns if name not in SEQUENCES.names]
    if len(labels) != 1 or table[labels[0]].null_count():
        raise ClinbertError(f"{cohort} has not one label for each patient: give what `clinbert ehr cohort` wrote")
    ids = table["input_ids"]
    # Scikit-learn's trees want indices of 32 bits.
    rows = np.repeat(np.arange(len(table), dtype=np.int32), ids.list.len().to_numpy())
    columns = ids.explode(empty_as_null=False).to_numpy() if len(rows) else np.empty(0, dtype=np.int32)
    own = read_codes(cohort / CODES)
    has = sparse.csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(len(table), len(own)))
    has.data[:] = 1.0
    has = has @ _translate(own, keys or own)
    return Bags(table["subject_id"].to_list(), has, table[labels[0]].cast(pl.Int8).to_numpy())


def _translate(own: Sequence[str], keys: Sequence[str]) -> sparse.csr_array:
    """Where each id of one vocabulary stands among the codes of another, shape (own ids, codes): special ones nowhere,
    as codes that the other lacks."""
    places = {key: place for place, key in enumerate(keys[len(SPECIALS) :])}
    rows = np.array([number for number, key in enumerate(own) if key in places], dtype=np.int32)
    columns = np.array([places[own[row]] for row in rows], dtype=np.int32)
    return sparse.csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=(len(own), len(places)))


def _fit(baseline: Baseline, settings: Dict[str, Any], seed: int, train: Bags, other: Bags) -> np.ndarray:
    """The probabilities of the other patients, shape (patients,)."""
    model = baseline.make(settings, seed).fit(_features(baseline, train), train.truth)
    return model.predict_proba(_features(baseline, other))[:, 1]


def _features(baseline: Baseline, bags: Bags) -> Any:
    # Ids come in the order of frequency in training.
    return bags.has[:, :DENSE_CODES].toarray() if baseline.dense else bags.has


def _score(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """AUROC; 0.5 where all have the same outcome, so that nothing is chosen."""
    return float(roc_auc_score(truth, probabilities)) if len(np.unique(truth)) > 1 else 0.5
