"""The learning curve of Rasmy et al. 2021: systems trained on 100, 300, … patients, ten draws each.

A folder holds one for each size, `500`, and in it the predictions of each draw, `SYSTEM.DRAW.parquet`; what is there is
not made again.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
from sklearn.metrics import roc_auc_score

from ..errors import ClinbertError
from ..evaluation.learning_curve import training_sizes, write_learning_curve
from ..output import whole_files
from .patients_reader import make_patients_reader
from .predictions import PROBABILITY, TRUTH, read_all
from .subsets import training_subset

SCORES, CURVE, FIGURE = "scores.csv", "curve.csv", "curve.png"


def train_along(
    cohort: Path, out: Path, systems: Sequence[str], draws: int, train: Callable[[Path, Path, int], None]
) -> None:
    """Train on fewer patients, then on all.

    cohort (Path): a folder that `clinbert ehr cohort` wrote.
    out (Path): the folder of the curve.
    systems (Sequence[str]): what a training gives predictions of; a draw of which all are there is left.
    draws (int): of each size.
    train (Callable[[Path, Path, int], None]): given a cohort, a folder and a draw, trains and writes predictions there.
    """
    for size in training_sizes(len(make_patients_reader(cohort, "train"))):
        for draw in range(draws):
            place = out / str(size)
            if not all((place / f"{name}.{draw}.parquet").is_file() for name in systems):
                with training_subset(cohort, size, draw) as folder:
                    train(folder, place, draw)


def write_curve(out: Path) -> pl.DataFrame:
    """Score all predictions of a curve, and write the AUROC of each, the summary and the figure.

    out (Path): the folder of the curve.
    RETURNS (pl.DataFrame): the summary, as of `evaluation.learning_curve.summarise`.
    RAISES (ClinbertError): if there are none, or all patients of one have the same outcome.
    """
    rows = []
    for size in sorted(int(path.name) for path in out.glob("*/") if path.name.isdecimal()):
        for name, draws in read_all([out / str(size)]).items():
            for found in draws:
                if found.table[TRUTH].n_unique() < 2:
                    raise ClinbertError(f"{found.path}: all patients have the same outcome: make a larger cohort")
                auroc = float(roc_auc_score(found.table[TRUTH], found.table[PROBABILITY]))
                rows.append({"system": name, "size": size, "draw": found.draw, "auroc": auroc})
    if not rows:
        raise ClinbertError(f"{out} holds no predictions: train along the curve first, with --curve")
    scores = pl.DataFrame(rows).sort("system", "size", "draw")
    with whole_files(*(out / name for name in (SCORES, CURVE, FIGURE))) as (table, curve, figure):
        scores.write_csv(table)
        return write_learning_curve(scores, curve, figure)
