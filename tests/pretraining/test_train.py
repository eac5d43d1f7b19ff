"""Pretraining from an export to a folder that loads: what it learns, what it writes, what it refuses."""

import json
import logging
import math
import shutil

import pytest
import torch
from PIL import Image
from tiny_exports import RECIPE, write_export
from transformers import AutoModel, AutoModelForPreTraining, AutoTokenizer

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.checkpoints import read_checkpoint
from spacy_clinbert.pretraining.manifest import read_manifest, write_manifest
from spacy_clinbert.pretraining.recipes import read_recipe
from spacy_clinbert.pretraining.settings import Settings
from spacy_clinbert.pretraining.train import pretrain


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("material")
    write_export(folder / "instances")
    write_export(folder / "blocks", form="blocks")
    write_export(folder / "others", notes=12, seed=1)
    (folder / "tiny.cfg").write_text(RECIPE, encoding="utf-8")
    return folder


def run(material, output, instances="instances", **changes):
    overrides = {"paths.instances": str(material / instances), "paths.output": str(output)}
    overrides |= {key.replace("__", "."): value for key, value in changes.items()}
    recipe = read_recipe(material / "tiny.cfg", overrides)
    return pretrain(Settings(paths=recipe.paths, model=recipe.model, training=recipe.training))


def test_bfloat16_does_not_outlive_its_run(material, tmp_path):
    before, half, after = (run(material, tmp_path / n, training__bf16=n == "half") for n in ("a", "half", "b"))
    assert before.losses == after.losses != half.losses
    assert half.losses == pytest.approx(before.losses, abs=0.05)


@pytest.fixture(scope="module")
def trained(material, tmp_path_factory):
    output = tmp_path_factory.mktemp("trained") / "encoder"
    return output, run(material, output, training__steps=120, training__evaluation_steps=40)


def test_the_folder_loads_with_casing_and_length(trained):
    output, _ = trained
    model, tokenizer = AutoModel.from_pretrained(output), AutoTokenizer.from_pretrained(output)
    assert model.config.architectures == ["BertForPreTraining"] and model.config.max_position_embeddings == 32
    assert tokenizer.is_fast and tokenizer.model_max_length == 32
    assert tokenizer.tokenize("patient given Metoprolol") == ["patient", "given", "Metoprolol"]
    stated = json.loads((output / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert (stated["do_lower_case"], stated["strip_accents"]) == (False, False)
    checkpoint = read_checkpoint(str(output))
    assert checkpoint.trained_length == 32 and not checkpoint.tokenizer.do_lower_case
    assert [path.name for path in output.parent.iterdir()] == ["encoder"], "no checkpoints stay behind"


def test_it_learns_pieces_and_pairs_and_writes_curves(trained):
    output, done = trained
    metrics = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    scored = [line for line in metrics["history"] if "eval_mlm_loss" in line]
    assert [line["step"] for line in scored] == [0, 40, 80, 120]
    assert scored[0]["eval_mlm_loss"] == pytest.approx(math.log(41), abs=0.3), "before the first step it knows nothing"
    assert scored[-1]["eval_mlm_loss"] < scored[0]["eval_mlm_loss"] - 1.5
    assert done.scores["perplexity"] == pytest.approx(math.exp(done.scores["mlm_loss"]))
    assert done.scores["mlm_accuracy"] > 0.3 and 0.3 < done.scores["nsp_accuracy"] <= 1
    assert metrics["scores"] == done.scores and metrics["steps"] == 120 and done.resumed == 0
    assert metrics["instances"] + metrics["held_out"] == 480
    with Image.open(output / "curves.png") as picture:
        assert picture.format == "PNG" and picture.width > 1000


def test_the_scores_are_those_of_the_model_that_was_written(material, trained):
    """Counted again, one instance after the other, with transformers' own loss."""
    output, done = trained
    from spacy_clinbert.pretraining.dataset import Instances
    from spacy_clinbert.pretraining.held_out import divide

    model = AutoModelForPreTraining.from_pretrained(output).eval()
    held_out = Instances(divide(sorted((material / "instances").glob("*.parquet")), 12345).held_out)
    loss = masked = right = pairs_right = 0
    for number in range(len(held_out)):
        row = {name: torch.as_tensor(value)[None] for name, value in held_out[number].items()}
        labels, pair = row.pop("labels"), row.pop("next_sentence_label")
        if pair.item() == 1:
            labels[row["token_type_ids"] == 1] = -100
        with torch.no_grad():
            outputs = model(**row)
        at = labels != -100
        scores, gold = outputs.prediction_logits[at], labels[at]
        loss += torch.nn.functional.cross_entropy(scores, gold, reduction="sum").item()
        masked, right = masked + len(gold), right + int((scores.argmax(-1) == gold).sum())
        pairs_right += int(outputs.seq_relationship_logits.argmax(-1) == pair)
    assert done.held_out == len(held_out)
    assert done.scores["mlm_loss"] == pytest.approx(loss / masked, abs=1e-5)
    assert done.scores["mlm_accuracy"] == pytest.approx(right / masked)
    assert done.scores["nsp_accuracy"] == pytest.approx(pairs_right / len(held_out))


def test_the_first_loss_is_that_of_transformers(material, tmp_path):
    """The loss of one update beside BertForPreTraining's own on the same padded batch."""
    from spacy_clinbert.pretraining.dataset import Batches, Instances, collate
    from spacy_clinbert.pretraining.held_out import all_parts

    instances = Instances(all_parts(sorted((material / "instances").glob("*.parquet"))))
    (keys,) = Batches(instances.sizes, 1, 16, (1, 1, 0), seed=0)
    changes = {"paths__held_out": False, "training__steps": 1, "training__log_steps": 1, "training__save_steps": 0}
    run(material, tmp_path / "start", training__learning_rate=1e-30, **changes)
    model = AutoModelForPreTraining.from_pretrained(tmp_path / "start").eval()
    wanted = model(**collate([instances[key] for key in keys], 0)).loss.item()
    metrics = json.loads((tmp_path / "start" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["losses"]["loss"] == pytest.approx(wanted, abs=1e-5)


def test_the_same_seed_gives_the_same_weights(material, tmp_path):
    runs = {name: run(material, tmp_path / name, training__seed=seed) for name, seed in (("a", 4), ("b", 4), ("c", 5))}
    weights = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in runs}
    assert weights["a"] == weights["b"] != weights["c"] and runs["a"].losses == runs["b"].losses


@pytest.mark.parametrize(
    "changes",
    [
        {"training__bf16": True},
        {"training__masking": "dynamic"},
        {"model__objective": "mlm"},
        {"training__steps": None, "training__epochs": 0.5},
        {"training__schedule": "constant"},
        {"training__accumulate": 4},
    ],
)
def test_each_way_of_training_lowers_the_loss(material, tmp_path, changes):
    done = run(material, tmp_path / "encoder", **{"training__steps": 30, **changes})
    assert done.steps == (14 if "training__epochs" in changes else 30)
    assert done.scores["mlm_loss"] < 3.4 and ("nsp_loss" in done.scores) == ("model__objective" not in changes)
    assert AutoModel.from_pretrained(tmp_path / "encoder").dtype == torch.float32


def test_accumulated_parts_give_the_loss_of_the_whole(material, tmp_path):
    whole, parts = (run(material, tmp_path / str(n), training__accumulate=n) for n in (1, 4))
    assert parts.losses == pytest.approx(whole.losses, abs=1e-5)
    assert parts.scores == pytest.approx(whole.scores, abs=1e-4)


def test_blocks_are_trained_on_with_masks_drawn_anew(material, tmp_path):
    changes = {"model__objective": "mlm", "training__masking": "dynamic", "training__steps": 60}
    done = run(material, tmp_path / "encoder", "blocks", **changes)
    assert done.scores["mlm_loss"] < 3 and done.epochs > 10


def test_scores_on_another_export_and_none_at_all(material, tmp_path):
    done = run(material, tmp_path / "other", paths__held_out=str(material / "others"))
    assert done.instances == 480 and done.held_out == 96 and done.scores
    done = run(material, tmp_path / "none", paths__held_out=False, training__evaluation_steps=5)
    assert done.instances == 480 and done.held_out == 0 and not done.scores


def test_an_encoder_is_trained_further(material, trained, tmp_path):
    output, before = trained
    changes = {"training__steps": 40, "training__evaluation_steps": 40, "training__learning_rate": 1e-3}
    done = run(material, tmp_path / "further", model__init=str(output), **changes)
    history = json.loads((tmp_path / "further" / "metrics.json").read_text(encoding="utf-8"))["history"]
    assert history[0]["eval_mlm_loss"] == pytest.approx(before.scores["mlm_loss"], abs=1e-6)
    assert done.scores["mlm_loss"] < before.scores["mlm_loss"]


def test_an_earlier_output_is_replaced_and_nothing_else_is(material, tmp_path):
    run(material, tmp_path / "encoder", training__steps=1)
    assert run(material, tmp_path / "encoder", training__steps=2).steps == 2
    (tmp_path / "encoder" / "notes.csv").write_text("mine")
    with pytest.raises(ClinbertError, match=r"holds notes\.csv"):
        run(material, tmp_path / "encoder", training__steps=1)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def other_form(folder):
    manifest = read_manifest(folder)
    settings = manifest.settings.model_copy(update={"form": "text"})
    write_manifest(manifest.model_copy(update={"settings": settings}), folder / "manifest.json")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda folder: flip(folder / "instances-00001.parquet"), r"instances-00001\.parquet is damaged"),
        (lambda folder: (folder / "instances-00002.parquet").unlink(), r"instances-00002\.parquet is missing"),
        (lambda folder: (folder / "manifest.json").unlink(), r"no manifest\.json"),
        (lambda folder: flip(folder / "tokenizer" / "tokenizer.json"), "not the tokenizer that made"),
        (lambda folder: shutil.rmtree(folder / "tokenizer"), "cannot be loaded"),
        (other_form, 'the form "text"'),
    ],
)
def test_an_export_that_is_not_whole_is_one_sentence_and_leaves_nothing(material, tmp_path, fault, message):
    fault(shutil.copytree(material / "instances", tmp_path / "instances"))
    with pytest.raises(ClinbertError, match=message) as raised:
        run(material, tmp_path / "encoder", str(tmp_path / "instances"))
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["instances"]


@pytest.mark.parametrize(
    ("instances", "changes", "message"),
    [
        ("blocks", {}, "no sentence pairs"),
        ("blocks", {"model__objective": "mlm"}, 'masking = "dynamic"'),
        ("instances", {"training__batch_size": 1000}, "too few for one update"),
        ("instances", {"training__accumulate": 3}, "no multiple of 3 accumulated parts"),
        ("instances", {"paths__held_out": "blocks"}, "differ in tokenizer or form"),
        ("instances", {"model__length": 16}, "16 positions"),
        ("instances", {"model__heads": 5}, "no multiple of heads"),
        ("instances", {"model__heads": None}, "a new model needs"),
        ("instances", {"training__epochs": 2}, "null for the other"),
        ("instances", {"training__save_steps": 7}, "no multiple of log_steps"),
        ("instances", {"training__seed": 2**32}, "seed: input should be less than"),
        ("instances", {"training__learning_rate": 1e30}, "no number"),
    ],
)
def test_settings_that_do_not_go_together_are_one_sentence(material, tmp_path, instances, changes, message):
    if "paths__held_out" in changes:
        changes = {"paths__held_out": str(material / changes["paths__held_out"])}
    with pytest.raises(ClinbertError, match=message) as raised:
        run(material, tmp_path / "encoder", instances, **changes)
    assert "\n" not in str(raised.value) and not (tmp_path / "encoder").exists()


def test_dynamic_masks_are_not_of_whole_words(material, tmp_path):
    whole = tmp_path / "whole"
    shutil.copytree(material / "instances", whole)
    manifest = read_manifest(whole)
    settings = manifest.settings.model_copy(update={"whole_word": True})
    write_manifest(manifest.model_copy(update={"settings": settings}), whole / "manifest.json")
    with pytest.raises(ClinbertError, match="exported with whole_word"):
        run(material, tmp_path / "encoder", str(whole), training__masking="dynamic")
    assert run(material, tmp_path / "encoder", str(whole)).steps == 20


def test_a_warm_up_that_fills_the_run_is_said(material, tmp_path, caplog):
    for steps, said in ((2, True), (3, False)):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "spacy_clinbert"):
            run(material, tmp_path / "encoder", training__steps=steps)
        assert ("warmup_steps 2 is not below the 2 steps" in caplog.text) == said
