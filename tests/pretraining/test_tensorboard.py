"""What TensorBoard shows of a run is what metrics.json says."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_exports import RECIPE, write_export

from spacy_clinbert.pretraining.recipes import read_recipe
from spacy_clinbert.pretraining.settings import Settings
from spacy_clinbert.pretraining.train import pretrain


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensorboard")
    write_export(folder / "instances")
    (folder / "tiny.cfg").write_text(RECIPE, encoding="utf-8")
    paths = {"paths.instances": str(folder / "instances"), "paths.output": str(folder / "encoder")}
    recipe = read_recipe(folder / "tiny.cfg", {**paths, "training.evaluation_steps": 10})
    pretrain(Settings(paths=recipe.paths, model=recipe.model, training=recipe.training))
    return folder / "encoder"


@pytest.mark.parametrize(
    ("tag", "key"), [("train/mlm_loss", "mlm_loss"), ("train/nsp_loss", "nsp_loss"), ("eval/mlm_loss", "eval_mlm_loss")]
)
def test_the_events_are_the_lines_of_the_log(output, tag, key):
    events = EventAccumulator(str(output / "tensorboard")).Reload().Scalars(tag)
    history = json.loads((output / "metrics.json").read_text(encoding="utf-8"))["history"]
    lines = {line["step"]: line[key] for line in history if key in line}
    assert len(lines) > 1
    assert {event.step: event.value for event in events} == pytest.approx(lines, rel=1e-6)
