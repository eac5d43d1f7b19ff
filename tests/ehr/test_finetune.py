"""Fine-tuning by `spacy train`: heads on an encoder, on static and on random vectors; calibration and predictions."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import spacy
import torch
from cohort_patients import write_cohort
from polars.testing import assert_frame_equal
from sklearn.metrics import roc_auc_score
from spacy.util import load_config
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.ehr.baselines import read_bags, run_baselines
from spacy_clinbert.ehr.cohort import make_cohort
from spacy_clinbert.ehr.cohort_tasks import LabelTask
from spacy_clinbert.ehr.docs import get_id
from spacy_clinbert.ehr.finetune import CODES, HEADS, choose_model, finetune
from spacy_clinbert.ehr.patients_half import make_patients_half
from spacy_clinbert.ehr.patients_reader import make_patients_reader
from spacy_clinbert.ehr.predict import predict
from spacy_clinbert.ehr.predictions import read_predictions
from spacy_clinbert.ehr.prepare_settings import PrepareSettings
from spacy_clinbert.ehr.sources import read_events
from spacy_clinbert.ehr.static_vectors import make_vectors
from spacy_clinbert.ehr.untrained import write_untrained
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.code_bert import CodeBertConfig, CodeBertForPreTraining
from spacy_clinbert.models.code_checkpoints import read_code_checkpoint, save_code_checkpoint
from spacy_clinbert.models.code_vocabulary import read_codes
from spacy_clinbert.synthetic.ehr import FORMS, make_patients
from spacy_clinbert.synthetic.ehr.conditions import THROMBOSIS, WEIGHT_LOSS
from spacy_clinbert.training.calibrate import find_textcat

CONFIG = Path(__file__).parents[2] / "configs" / "ehr-finetune.cfg"
SMALL = {"recipe.epochs": 2, "recipe.width": 8, "recipe.batch_size": 32, "recipe.learn_rate": 0.01}


# Where a configuration was read from stands in it.
NAMED = {"_name_or_path": ""}


def had_r01(codes):
    return "R01" in codes


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A cohort, vectors of its codes, and an encoder of them with random weights."""
    folder = tmp_path_factory.mktemp("made")
    write_cohort(folder / "cohort", 200, had_r01)
    make_vectors(folder / "cohort", folder / "vectors", 8)
    vocabulary = read_codes(folder / "cohort")
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = CodeBertConfig(
        vocab_size=len(vocabulary), max_position_embeddings=80, type_vocab_size=8, ages=True, gaps=True, **sizes
    )
    torch.manual_seed(0)
    (folder / "encoder").mkdir()
    save_code_checkpoint(CodeBertForPreTraining(config), vocabulary, folder / "encoder")
    return folder


def overrides(made, head, codes, **more):
    paths = {"paths.encoder": str(made / "encoder"), "paths.code_vectors": str(made / "vectors")}
    return {**choose_model(head, codes), **paths, **SMALL, **more}


SIZES_OF_ENCODER = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
)
PAIRS = [(head, codes) for head in HEADS for codes in CODES if head != "ffn" or codes == "encoder"]


@pytest.mark.parametrize(("head", "codes"), PAIRS)
def test_every_head_on_all_that_can_be_below(head, codes, made, tmp_path):
    out = tmp_path / f"{codes}-{head}.3"
    score = finetune(CONFIG, made / "cohort", out, 3, overrides(made, head, codes))
    found = read_predictions(tmp_path / f"{codes}-{head}.3.parquet")
    assert (found.system, found.draw, found.trained_on) == (f"{codes}-{head}", 3, "invented")
    assert set(found.table["subject_id"]) == set(read_bags(made / "cohort", "test").ids)
    nlp = spacy.load(out)
    textcat = find_textcat(nlp)
    assert textcat.labels == ("boolean_value",) and textcat.temperatures[""] > 0
    assert nlp.meta["sources"][0]["name"].endswith("invented")
    # What spaCy chose by is the AUROC of one half of the valid split, by the best weights before their calibration.
    half = list(make_patients_half(made / "cohort", "early_stopping")(nlp))
    docs = list(nlp.pipe([example.predicted for example in half]))
    truth = [example.reference.cats["boolean_value"] for example in half]
    assert roc_auc_score(truth, [doc.cats["boolean_value"] for doc in docs]) == pytest.approx(score, abs=1e-6)
    predict(nlp, made / "cohort", tmp_path / "again.parquet")
    assert_frame_equal(read_predictions(tmp_path / "again.parquet").table, found.table, abs_tol=1e-4)


def test_patients_are_read_alike_in_training_and_after(made, tmp_path):
    """Also by an encoder that does not number visits anew, of patients with more codes than it reads."""
    config = read_code_checkpoint(str(made / "encoder")).model.config.to_diff_dict()
    sizes = {name: config[name] for name in SIZES_OF_ENCODER}
    torch.manual_seed(0)
    vocabulary = read_codes(made / "cohort")
    model = CodeBertForPreTraining(CodeBertConfig(style="paper", pooling="sum", vocab_size=len(vocabulary), **sizes))
    for parameter in model.parameters():
        parameter.data *= 3
    (tmp_path / "paper").mkdir()
    save_code_checkpoint(model, vocabulary, tmp_path / "paper")
    more = {"paths.encoder": str(tmp_path / "paper"), "recipe.codes": 3, "recipe.epochs": 1}
    score = finetune(CONFIG, made / "cohort", tmp_path / "ffn.0", 0, overrides(made, "ffn", "encoder", **more))
    nlp = spacy.load(tmp_path / "ffn.0")
    half = list(make_patients_half(made / "cohort", "early_stopping")(nlp))
    assert {len(example.predicted) for example in half} == {8}
    docs = list(nlp.pipe([example.predicted for example in half]))
    truth = [example.reference.cats["boolean_value"] for example in half]
    assert roc_auc_score(truth, [doc.cats["boolean_value"] for doc in docs]) == pytest.approx(score, abs=1e-6)


def test_same_seed_same_predictions(made, tmp_path):
    for name, draw in (("a", 0), ("b", 0), ("c", 1)):
        finetune(CONFIG, made / "cohort", tmp_path / f"{name}.0", draw, overrides(made, "gru", "random"))
    one, two, other = (pl.read_parquet(tmp_path / f"{name}.0.parquet") for name in "abc")
    assert_frame_equal(one, two, abs_tol=1e-5)
    assert not np.allclose(one["predicted_boolean_probability"], other["predicted_boolean_probability"], atol=1e-4)


def test_halves_of_valid_are_the_valid_split(made):
    nlp = spacy.blank("xx")
    halves = [
        {get_id(example.predicted) for example in make_patients_half(made / "cohort", half)(nlp)}
        for half in ("early_stopping", "calibration")
    ]
    valid = make_patients_reader(made / "cohort", "valid")
    assert not halves[0] & halves[1] and halves[0] | halves[1] == {get_id(one.predicted) for one in valid(nlp)}
    assert len(valid) == len(halves[0]) + len(halves[1])


def test_an_untrained_encoder_differs_by_its_weights_alone(made, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_untrained(made / "encoder", tmp_path / name, seed)
    trained, *others = (read_code_checkpoint(str(path)) for path in (made / "encoder", *map(tmp_path.joinpath, "abc")))
    for other in others:
        assert other.vocabulary.keys == trained.vocabulary.keys
        assert other.model.config.to_diff_dict() | NAMED == trained.model.config.to_diff_dict() | NAMED
    tables = [one.model.embeddings.word_embeddings.weight for one in (trained, *others)]
    assert torch.equal(tables[1], tables[2])
    assert not torch.equal(tables[1], tables[3]) and not torch.equal(tables[0], tables[1])


def test_the_config_is_the_published_recipe():
    config = load_config(CONFIG, interpolate=False)
    recipe = config["recipe"]
    assert (recipe["learn_rate"], recipe["learn_rate_static"], recipe["batch_size"]) == (1e-5, 1e-3, 100)
    assert (recipe["codes"], recipe["patience"]) == (64, 20)
    assert config["training"]["optimizer"]["@optimizers"] == "Adam.v1"
    static = choose_model("gru", "static")
    chosen = load_config(CONFIG, overrides=static, interpolate=False).interpolate()
    model = chosen["components"]["clinbert_textcat"]["model"]
    assert model["@architectures"] == "spacy_clinbert.CodeRnn.v1"
    assert model["tok2vec"]["@architectures"] == "spacy_clinbert.CodeVectors.v1"
    assert chosen["recipe"]["learn_rate"] == 1e-3


def test_what_cannot_be_trained_or_predicted(made, tmp_path):
    with pytest.raises(ClinbertError, match="needs an encoder's row"):
        choose_model("ffn", "static")
    with pytest.raises(ClinbertError, match="lstm is no head"):
        choose_model("lstm", "static")
    nlp = spacy.blank("xx")
    with pytest.raises(ClinbertError, match="has 0 components clinbert_textcat"):
        predict(nlp, made / "cohort", tmp_path / "p.parquet")
    pipe = nlp.add_pipe("clinbert_textcat", config={"exclusive": False})
    with pytest.raises(ClinbertError, match="has 0 labels"):
        predict(nlp, made / "cohort", tmp_path / "p.parquet")
    pipe.add_label("another")
    with pytest.raises(ClinbertError, match="no column another"):
        predict(nlp, made / "cohort", tmp_path / "p.parquet")
    assert not list(tmp_path.iterdir())


def test_the_commands(made, tmp_path):
    paths = ["--paths.encoder", str(made / "encoder"), "--recipe.epochs", "1", "--recipe.width", "8"]
    arguments = [
        "ehr",
        "finetune",
        str(CONFIG),
        str(made / "cohort"),
        str(tmp_path),
        "--head",
        "gru",
        "--codes",
        "random",
    ]
    done = CliRunner().invoke(app, [*arguments, "--runs", "1", "--curve", "--name", "mine", *paths])
    assert done.exit_code == 0, done.output
    everyone = len(make_patients_reader(made / "cohort", "train"))
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*.parquet")} == {
        "100/mine-gru.0.parquet",
        f"{everyone}/mine-gru.0.parquet",
    }
    pipeline, out = tmp_path / "100" / "mine-gru.0", tmp_path / "valid.parquet"
    done = CliRunner().invoke(
        app, ["ehr", "predict", str(pipeline), str(made / "cohort"), str(out), "--split", "valid"]
    )
    assert done.exit_code == 0, done.output
    assert len(pl.read_parquet(out)) == len(make_patients_reader(made / "cohort", "valid"))
    done = CliRunner().invoke(app, ["ehr", "predict", str(tmp_path), str(made / "cohort"), str(out)])
    assert isinstance(done.exception, ClinbertError) and "no saved pipeline" in str(done.exception)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Patients with both of a pair, asked at the second of it whether cancer will come: by the order of the pair."""
    folder = tmp_path_factory.mktemp("planted")
    people = list(make_patients(2500, 0))
    (folder / "source").mkdir()
    FORMS["mimic4"](folder / "source", iter(people))
    pair = {*WEIGHT_LOSS, *THROMBOSIS}
    rows = []
    for person in people:
        if person.planted.paca_order is not None:
            visit = [visit for visit in person.visits if pair & set(visit.codes)][-1]
            rows.append((person.number, visit.discharge, person.planted.pancreatic_cancer is not None))
    names = {"subject_id": pl.Int64, "prediction_time": pl.Datetime("us"), "boolean_value": pl.Boolean}
    pl.DataFrame(rows, names, orient="row").write_parquet(folder / "labels.parquet")
    task = LabelTask(folder / "labels.parquet")
    make_cohort(read_events(folder / "source"), task, folder / "cohort", PrepareSettings(), name="synthetic")
    return folder / "cohort"


@pytest.mark.slow
def test_a_sequence_head_sees_the_planted_order_and_a_bag_of_codes_does_not(planted, tmp_path):
    run_baselines(planted, tmp_path)
    more = {"recipe.width": 32, "recipe.batch_size": 32, "recipe.codes": 24, "recipe.epochs": 12}
    chosen = {**choose_model("gru", "random"), **more, "recipe.learn_rate": 0.003}
    finetune(CONFIG, planted, tmp_path / "gru.0", 0, chosen)
    auroc = {}
    for name in ("gru", "logistic", "forest", "boosting"):
        table = pl.read_parquet(tmp_path / f"{name}.0.parquet")
        auroc[name] = roc_auc_score(table["boolean_value"], table["predicted_boolean_probability"])
    gru = auroc.pop("gru")
    assert gru > 0.7 and gru > max(auroc.values()) + 0.1, (gru, auroc)
