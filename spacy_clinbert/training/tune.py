"""A grid of settings, searched on the development split; test is never opened."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

from confection import Config
from spacy.util import load_config

from ..corpora.folders import splits_in
from ..errors import ClinbertError
from ..output import whole_files
from .runs import train_best

TRIAL, SUMMARY, BEST = "trial.json", "tune.json", "best.cfg"


class Grid(NamedTuple):
    """Settings to search.

    source (str): the paper they come from.
    settings (Mapping[str, Sequence[Any]]): values by "section.setting".
    """

    source: str
    settings: Mapping[str, Sequence[Any]]

    def points(self) -> Iterator[Dict[str, Any]]:
        """Give each combination of values, by "section.setting"."""
        for values in product(*self.settings.values()):
            yield dict(zip(self.settings, values, strict=True))


@dataclass(frozen=True)
class Trial:
    """One training.

    settings (Dict[str, Any]): the point of the grid.
    seed (int): the seed.
    score (float): on dev, as spaCy weighs it, from 0 to 1.
    model (str): its best pipeline, relative to the output folder.
    """

    settings: Dict[str, Any]
    seed: int
    score: float
    model: str


@dataclass(frozen=True)
class Search:
    """What a search found.

    trials (Tuple[Trial, ...]): every training, in the order of the grid.
    best (Trial): of the point with the highest mean over seeds, the training with the highest score.
    """

    trials: Tuple[Trial, ...]
    best: Trial


def rank(trials: Sequence[Trial]) -> List[Tuple[Dict[str, Any], List[float]]]:
    """Rank the points of a grid.

    trials (Sequence[Trial]): the trainings.
    RETURNS (List[Tuple[Dict[str, Any], List[float]]]): each point's settings and its scores by seed, best mean first.
    """
    scores: Dict[str, List[float]] = {}
    for trial in trials:
        scores.setdefault(json.dumps(trial.settings), []).append(trial.score)
    ranked = sorted(scores.items(), key=lambda item: -sum(item[1]) / len(item[1]))
    return [(json.loads(settings), values) for settings, values in ranked]


def read_grid(path: Path) -> Grid:
    """Read a grid.

    path (Path): JSON: "source", and for each "section.setting" the list of its values.
    RETURNS (Grid): the grid.
    RAISES (ClinbertError): if the file is none.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        source = content.pop("source")
        if not content or not all(isinstance(values, list) and values for values in content.values()):
            raise ValueError
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ClinbertError(
            f'{path} is no grid: give JSON with "source" and, for each section.setting, a list of values;'
            " configs/grids holds examples"
        ) from None
    return Grid(source, content)


def search(config: Path, out: Path, grid: Grid, overrides: Mapping[str, Any], seeds: int, gpu_id: int) -> Search:
    """Train every point of a grid with every seed, and write `tune.json` and `best.cfg`.

    A training that is done, with the same config and the same corpora, is not repeated.

    config (Path): the config file.
    out (Path): output folder; each point keeps its best pipeline there.
    grid (Grid): what to search.
    overrides (Mapping[str, Any]): values that replace those of the file at every point, keyed by "section.setting".
    seeds (int): the seeds are 0, 1, … up to this number.
    gpu_id (int): the GPU, or -1 for the CPU.
    RETURNS (Search): all scores, and the best.
    RAISES (ClinbertError): before anything is trained, if the config lacks a setting of the grid or names a test file.
    """
    jobs = [(point, seed) for point in grid.points() for seed in range(seeds)]
    filled = [{**overrides, **point, "training.seed": seed} for point, seed in jobs]
    configs = [_load(config, one, grid) for one in filled]
    trials = []
    for (point, seed), settings, full in zip(jobs, filled, configs, strict=True):
        folder = out / "points" / _fingerprint(full)
        done = folder / TRIAL
        if not done.is_file():
            model, score = train_best(config, folder, settings, gpu_id)
            with whole_files(done) as (written,):
                trial = Trial(point, seed, score, model.relative_to(out).as_posix())
                written.write_text(json.dumps(asdict(trial), indent=1) + "\n", encoding="utf-8")
        trials.append(Trial(**json.loads(done.read_text(encoding="utf-8"))))
    best_point, _ = rank(trials)[0]
    best = max((trial for trial in trials if trial.settings == best_point), key=lambda trial: trial.score)
    found = Search(tuple(trials), best)
    with whole_files(out / SUMMARY, out / BEST) as (summary, best_config):
        summary.write_text(
            json.dumps({"source": grid.source, **asdict(found)}, indent=1) + "\n",
            encoding="utf-8",
        )
        load_config(config, overrides={**overrides, **best.settings, "training.seed": best.seed}).to_disk(best_config)
    return found


def refuse_test(config: Mapping[str, Any]) -> None:
    """Refuse a config that could open a test file: a search that sees test chooses by it.

    config (Mapping[str, Any]): an interpolated config.
    RAISES (ClinbertError): if a path, a corpus or its split is one of test, by its name.
    """
    encoders = {value for _, value in _strings(config["components"])}
    for section in ("paths", "corpora", "training", "initialize"):
        for key, value in _strings(config.get(section, {}), section):
            names = {Path(value).name, Path(value).resolve().name}
            if value not in encoders and any("test" in splits_in(name) for name in names):
                raise ClinbertError(f"{key} = {value!r} is of test: tuning chooses on dev and never opens test")


def _load(file: Path, overrides: Mapping[str, Any], grid: Grid) -> Config:
    if not file.is_file():
        raise ClinbertError(f"config {file} does not exist: configs/ner.cfg is one")
    raw = load_config(file)
    # spaCy would take a misspelt setting in silence, and every point would be the same.
    for key in grid.settings:
        section, _, setting = key.rpartition(".")
        block: Any = raw
        for part in section.split("."):
            block = block.get(part, {}) if isinstance(block, dict) else {}
        if setting not in block:
            raise ClinbertError(f"{file} has no setting {key}")
    config = load_config(file, overrides=dict(overrides), interpolate=True)
    refuse_test(config)
    return config


def _fingerprint(config: Config) -> str:
    """Name a training by its whole config and the bytes of the files that the config names."""
    digest = hashlib.sha256(config.to_str().encode())
    for _, value in _strings(config):
        if Path(value).is_file():
            digest.update(Path(value).read_bytes())
    return digest.hexdigest()[:12]


def _strings(block: Any, key: str = "") -> Iterator[Tuple[str, str]]:
    if isinstance(block, str):
        yield key, block
    elif isinstance(block, dict):
        for name, value in block.items():
            yield from _strings(value, f"{key}.{name}" if key else name)
    elif isinstance(block, list):
        for value in block:
            yield from _strings(value, key)
