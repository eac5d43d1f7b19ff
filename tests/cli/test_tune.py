"""`clinbert tune`: trains each point, chooses by dev, goes on where it stopped, and never opens test."""

import json
import shutil
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.util import load_config
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.training import tune as module
from spacy_clinbert.training.runs import dev_score

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "ner.cfg"
GRID = {"source": "Somebody 2019", "recipe.learn_rate": [0.0, 0.01], "recipe.batch_size": [4, 8]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Eight notes for training, two for development, in a folder."""
    folder = tmp_path_factory.mktemp("corpus")
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    for name, count in (("train", 8), ("dev", 2), ("test", 2)):
        docs = DocBin()
        for number in range(count):
            doc = nlp(f"The patient was given aspirin for chest pain.\nShe denies fever. Dose {number}.")
            doc.ents = [doc.char_span(22, 29, label="treatment"), doc.char_span(34, 44, label="problem")]
            docs.add(doc)
        docs.to_disk(folder / f"{name}.spacy")
    return folder


@pytest.fixture
def options(corpus, tiny_bert):
    paths = {"train": corpus / "train.spacy", "dev": corpus / "dev.spacy", "encoder": tiny_bert}
    return [word for name, path in paths.items() for word in (f"--paths.{name}", str(path))]


def grid(folder, content=GRID):
    path = folder / "grid.json"
    path.write_text(json.dumps(content))
    return path


def tune(*arguments):
    return CliRunner().invoke(app, ["tune", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def searched(corpus, tiny_bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    content = {"source": "Somebody 2019", "recipe.learn_rate": [0.0, 0.02]}
    paths = ("--paths.train", corpus / "train.spacy", "--paths.dev", corpus / "dev.spacy", "--paths.encoder", tiny_bert)
    command = (CONFIG, folder / "out", "--grid", grid(folder, content), "--seeds", 2, *paths, "--recipe.epochs", 8)
    done = tune(*command)
    assert done.exit_code == 0, done.output
    return folder / "out", command, done.output


@pytest.mark.slow
def test_it_chooses_by_the_mean_on_dev(searched, corpus):
    out, _, output = searched
    found = json.loads((out / "tune.json").read_text())
    assert found["source"] == "Somebody 2019"
    assert [(trial["settings"]["recipe.learn_rate"], trial["seed"]) for trial in found["trials"]] == [
        (0.0, 0),
        (0.0, 1),
        (0.02, 0),
        (0.02, 1),
    ]
    means = {
        rate: sum(t["score"] for t in found["trials"] if t["settings"]["recipe.learn_rate"] == rate) / 2
        for rate in (0.0, 0.02)
    }
    # A rate of nothing learns nothing.
    assert means[0.02] > means[0.0] and found["best"]["settings"] == {"recipe.learn_rate": 0.02}
    assert found["best"]["score"] == max(
        trial["score"] for trial in found["trials"] if trial["settings"] == found["best"]["settings"]
    )
    assert dev_score(out / found["best"]["model"]) == found["best"]["score"]
    assert spacy.load(out / found["best"]["model"]).config["training"]["seed"] == found["best"]["seed"]
    rows = [line.split() for line in output.splitlines()]
    assert ["0.02", f"{100 * means[0.02]:.2f}"] in [row[:2] for row in rows]
    assert "Somebody 2019" in output and found["best"]["model"] in output


@pytest.mark.slow
def test_the_best_config_trains_the_best_pipeline_again(searched, tmp_path):
    out, _, _ = searched
    best = json.loads((out / "tune.json").read_text())["best"]
    config = load_config(out / "best.cfg", interpolate=True)
    assert config["recipe"]["learn_rate"] == 0.02 and config["recipe"]["epochs"] == 8
    _, score = module.train_best(out / "best.cfg", tmp_path / "again", {}, -1)
    assert score == pytest.approx(best["score"], abs=1e-4)


@pytest.mark.slow
def test_what_is_done_is_not_trained_again_and_what_was_cut_short_is(searched, monkeypatch):
    out, command, _ = searched
    trained = []
    real = module.train_best

    def watched(config, folder, overrides, gpu_id):
        trained.append(overrides["training.seed"])
        return real(config, folder, overrides, gpu_id)

    monkeypatch.setattr(module, "train_best", watched)
    before = (out / "tune.json").read_text()
    assert tune(*command).exit_code == 0 and not trained
    # As if it had been interrupted while the model was written.
    victim = next(path for path in sorted(out.glob("points/*/trial.json")) if json.loads(path.read_text())["seed"] == 1)
    victim.unlink()
    assert tune(*command).exit_code == 0 and trained == [1]
    assert json.loads((out / "tune.json").read_text())["best"]["settings"] == json.loads(before)["best"]["settings"]


def test_other_data_is_another_training(corpus, tiny_bert, tmp_path):
    """A result is found again by the whole config and by the bytes of the corpora."""
    shutil.copytree(corpus, tmp_path / "copy")
    overrides = {"paths.train": str(tmp_path / "copy/train.spacy"), "paths.encoder": str(tiny_bert)}
    nothing = module.Grid("nobody", {})
    first = module._fingerprint(module._load(CONFIG, overrides, nothing))
    assert module._fingerprint(module._load(CONFIG, overrides, nothing)) == first
    assert module._fingerprint(module._load(CONFIG, {**overrides, "recipe.epochs": 4}, nothing)) != first
    shutil.copy(corpus / "dev.spacy", tmp_path / "copy/train.spacy")
    assert module._fingerprint(module._load(CONFIG, overrides, nothing)) != first


@pytest.mark.parametrize(
    "given",
    [
        ("--paths.dev", "TEST"),
        ("--paths.dev", "LINK"),
        ("--corpora.dev.path", "TEST"),
        ("--paths.test", "TEST"),
        ("--paths.extra", "i2b2/test_data"),
        ("--corpora.dev.split", "test"),
        ("--corpora.dev.path", "mli_test_v1.jsonl"),
    ],
)
def test_a_config_that_names_a_test_file_is_refused(given, corpus, options, tmp_path):
    (tmp_path / "harmless.spacy").symlink_to(corpus / "test.spacy")
    places = {"TEST": str(corpus / "test.spacy"), "LINK": str(tmp_path / "harmless.spacy")}
    value = places.get(given[1], given[1])
    done = tune(CONFIG, tmp_path / "out", "--grid", grid(tmp_path), *options, given[0], value)
    assert isinstance(done.exception, ClinbertError) and "never opens test" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_grid_over_test_files_is_refused(corpus, options, tmp_path):
    content = {"source": "x", "paths.dev": [str(corpus / "dev.spacy"), str(corpus / "test.spacy")]}
    done = tune(CONFIG, tmp_path / "out", "--grid", grid(tmp_path, content), *options)
    assert "never opens test" in str(done.exception) and not (tmp_path / "out").exists()


def test_an_encoder_may_have_test_in_its_name(corpus, tiny_bert, tmp_path):
    """Only what is read as a corpus counts; neither does the folder that everything lies in."""
    config = load_config(
        CONFIG, overrides={"paths.encoder": "models/test-bert", "paths.train": "/test/train.spacy"}, interpolate=True
    )
    module.refuse_test(config)


@pytest.mark.parametrize(
    "content, message",
    [
        ({"source": "x", "recipe.epoch": [1]}, "has no setting recipe.epoch"),
        ({"source": "x", "training.batcher.sizes": [1]}, "has no setting training.batcher.sizes"),
        ({"recipe.epochs": [1]}, "is no grid"),
        ({"source": "x"}, "is no grid"),
        ({"source": "x", "recipe.epochs": 3}, "is no grid"),
        ({"source": "x", "recipe.epochs": []}, "is no grid"),
        ([1], "is no grid"),
    ],
)
def test_bad_grids_are_one_sentence(content, message, options, tmp_path):
    done = tune(CONFIG, tmp_path / "out", "--grid", grid(tmp_path, content), *options)
    assert isinstance(done.exception, ClinbertError) and message in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_missing_config_is_one_sentence(tmp_path):
    done = tune(tmp_path / "none.cfg", tmp_path / "out", "--grid", grid(tmp_path))
    assert isinstance(done.exception, ClinbertError) and "none.cfg" in str(done.exception)


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "grids").glob("*.json")), ids=lambda path: path.stem)
def test_grids_of_the_papers_fit_the_configs(path):
    found = module.read_grid(path)
    assert "20" in found.source
    for config in ROOT.glob("configs/ner*.cfg"):
        for point in found.points():
            module._load(config, point, found)


def test_clinicalberts_grid_has_eighteen_points():
    points = list(module.read_grid(ROOT / "configs" / "grids" / "clinicalbert.json").points())
    assert len(points) == len({json.dumps(point) for point in points}) == 18
    assert {"recipe.epochs": 3, "recipe.learn_rate": 3e-5, "recipe.batch_size": 32} in points
