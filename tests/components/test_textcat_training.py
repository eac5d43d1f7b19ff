"""`spacy train` with configs/textcat.cfg: exclusive labels, groups, labels beside each other; and what comes after."""

from pathlib import Path

import pytest
import spacy
from spacy.cli.train import train
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.corpora.i2b2_2008 import DISEASES
from spacy_clinbert.evaluation.evaluate import evaluate
from spacy_clinbert.evaluation.gold import read_gold

CONFIG = Path(__file__).parents[2] / "configs" / "textcat.cfg"
GROUPS = "components.clinbert_textcat.groups"
TASKS = {
    "i2b2_2006_smoking": {},
    "i2b2_2008": {f"{GROUPS}.@misc": "spacy_clinbert.i2b2_2008_groups.v1", f"{GROUPS}.source": "textual"},
    "n2c2_2018_track1": {"components.clinbert_textcat.exclusive": False},
}


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
@pytest.mark.parametrize("form", TASKS)
def test_from_a_synthetic_corpus_to_a_calibrated_pipeline(form: str, tiny_bert: Path, tmp_path: Path) -> None:
    run("synth", form, tmp_path / "native", "--notes", 60)
    run("convert", form, tmp_path / "native", tmp_path / "corpus")
    overrides = {
        "paths.train": str(tmp_path / "corpus/train.spacy"),
        "paths.dev": str(tmp_path / "corpus/dev.spacy"),
        "paths.encoder": str(tiny_bert),
        "recipe.epochs": 1,
        "components.clinbert_textcat.model.tok2vec.max_windows": 4,
        **TASKS[form],
    }
    with pytest.warns(UserWarning, match="training documents are not read"):
        train(CONFIG, tmp_path / "model", overrides=overrides)
    best = tmp_path / "model/model-best"
    nlp = spacy.load(best)
    textcat = nlp.get_pipe("clinbert_textcat")
    if form == "i2b2_2008":
        assert [group.name for group in textcat.groups] == [f"textual:{disease}" for disease in DISEASES]
    said = run("calibrate", best, tmp_path / "corpus/dev.spacy", tmp_path / "calibrated")
    assert "ECE" in said
    calibrated = spacy.load(tmp_path / "calibrated")
    assert calibrated.get_pipe("clinbert_textcat").temperatures
    found = evaluate(calibrated, read_gold(tmp_path / "corpus/test.spacy"), model="calibrated")
    assert 0 <= found.run.scores["cats"]["accuracy"] <= 1
    assert found.run.scores["cats"]["exclusive"] == (form != "n2c2_2018_track1")
    # Batches and processes change nothing.
    texts = [doc.text for doc in read_gold(tmp_path / "corpus/test.spacy").docs[:4]]
    alone = [nlp(text).cats for text in texts]
    for settings in ({"batch_size": 3}, {"batch_size": 2, "n_process": 2}):
        for cats, doc in zip(alone, nlp.pipe(texts, **settings)):
            assert doc.cats == pytest.approx(cats, abs=1e-4)
