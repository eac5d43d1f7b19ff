"""One run of spaCy's training, and the score on dev by which spaCy chose its best pipeline."""

import json
import shutil
from pathlib import Path
from typing import Any, Dict, Mapping, Tuple

from spacy.cli.train import train
from spacy.training.loop import DIR_MODEL_BEST, DIR_MODEL_LAST
from spacy.util import load_config


def train_best(config: Path, out: Path, overrides: Mapping[str, Any], gpu_id: int) -> Tuple[Path, float]:
    """Train a pipeline with `spacy train` and keep the best.

    config (Path): the config file.
    out (Path): output folder; an earlier run there is replaced.
    overrides (Mapping[str, Any]): values that replace those of the file, keyed by "section.setting".
    gpu_id (int): the GPU, or -1 for the CPU.
    RETURNS (Tuple[Path, float]): the best pipeline and its score on dev, from 0 to 1.
    """
    train(config, out, use_gpu=gpu_id, overrides=dict(overrides))
    shutil.rmtree(out / DIR_MODEL_LAST)
    return out / DIR_MODEL_BEST, dev_score(out / DIR_MODEL_BEST)


def dev_score(model: Path) -> float:
    """Read the score of a trained pipeline on dev: its metrics, weighted as in its config.

    model (Path): a pipeline that `spacy train` saved.
    RETURNS (float): the score, from 0 to 1.
    """
    performance: Dict[str, Any] = json.loads((model / "meta.json").read_text(encoding="utf-8"))["performance"]
    weights = load_config(model / "config.cfg")["training"]["score_weights"]
    return sum(weight * (performance.get(metric) or 0.0) for metric, weight in weights.items() if weight)
