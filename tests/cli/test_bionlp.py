"""`clinbert bionlp`: every BioNLP and CRAFT folder is trained and scored, once."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.training.bionlp import find_corpora

CONFIG = Path(__file__).parents[2] / "configs" / "ner.cfg"
GENES = ("BRCA1", "TP53", "p65", "IL-2")
FRAMES = ("{} binds to the cell", "expression of {} in mice was low", "no {} was found", "we study {} and its cell")


def write_corpus(folder: Path, label: str) -> None:
    """A corpus as Crichton et al. have it: token, tab, tag; a blank line behind each sentence; no documents."""
    folder.mkdir(parents=True)
    for split, count in (("train", 24), ("devel", 8), ("test", 8)):
        lines = []
        for number in range(count):
            gene = GENES[number % len(GENES)]
            for word in FRAMES[number // 2 % len(FRAMES)].format(gene).split():
                lines.append(f"{word}\t{f'B-{label}' if word == gene else 'O'}\n")
            lines.append("\n")
        (folder / f"{split}.tsv").write_text("".join(lines))


def bionlp(*arguments):
    return CliRunner().invoke(app, ["bionlp", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture
def data(tmp_path):
    for name, label in (("BioNLP09-IOB", "Protein"), ("CRAFT-ggp-IOB", "GGP"), ("AnatEM-IOB", "Anatomy")):
        write_corpus(tmp_path / "data" / name, label)
    (tmp_path / "data" / "README.md").write_text("corpora")
    return tmp_path / "data"


@pytest.mark.slow
def test_two_corpora_and_the_paper_beside_them(data, tiny_bert, tmp_path):
    command = (
        data,
        tmp_path / "out",
        "--encoder",
        tiny_bert,
        "--config",
        CONFIG,
        "--recipe.epochs",
        4,
        "--recipe.batch_size",
        4,
    )
    command += ("--recipe.learn_rate", 0.01)
    done = bionlp(*command)
    assert done.exit_code == 0, (done.output, done.exception)
    rows = {line.split()[0]: line.split()[1:] for line in done.output.splitlines() if line.strip()}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["BioNLP09-IOB", "CRAFT-ggp-IOB"]
    scores = []
    for name in ("BioNLP09-IOB", "CRAFT-ggp-IOB"):
        metrics = json.loads((tmp_path / "out" / name / "metrics" / "metrics.json").read_text())
        f = [100 * metrics[score]["strict"]["micro"]["f"] for score in ("document", "paper")]
        assert rows[name] == [f"{value:.2f}" for value in f]
        assert metrics["documents"] == 8 and metrics["test_evaluations"]["by_all"] == 1
        scores.append(f)
    assert rows["mean"] == ["of", "2", *(f"{sum(values) / 2:.2f}" for values in zip(*scores))]
    assert max(map(max, scores)) > 50
    assert rows["MedBERT"][-1] == "84.04" and "not comparable" in done.output
    # The second run trains nothing: it prints the same table; and it opens no test set again.
    (data / "BioNLP09-IOB" / "train.tsv").unlink()
    again = bionlp(*command)
    assert (
        again.exit_code == 0
        and again.output[again.output.index("micro F1") :] == done.output[done.output.index("micro F1") :]
    )


def test_a_corpus_in_two_schemes_is_one(tmp_path):
    names = ["BioNLP09-IOB", "BioNLP09-IOBES", "CRAFT-IOBES", "CRAFT-cell-IOB", "BC5CDR-IOB"]
    for name in names:
        (tmp_path / name).mkdir()
    assert [path.name for path in find_corpora(tmp_path)] == ["BioNLP09-IOB", "CRAFT-IOBES", "CRAFT-cell-IOB"]


@pytest.mark.parametrize("exists", [True, False])
def test_missing_data_is_one_sentence_with_the_folder_to_fill(exists, tmp_path):
    if exists:
        (tmp_path / "data" / "AnatEM-IOB").mkdir(parents=True)
    done = bionlp(tmp_path / "data", tmp_path / "out", "--config", CONFIG)
    assert isinstance(done.exception, ClinbertError)
    assert str(tmp_path / "data") in str(done.exception) and "MTL-Bioinformatics-2016" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_corpus_that_lacks_a_split_is_one_sentence(data, tmp_path):
    (data / "BioNLP09-IOB" / "devel.tsv").unlink()
    done = bionlp(data, tmp_path / "out", "--config", CONFIG)
    assert isinstance(done.exception, ClinbertError) and "no dev sentences" in str(done.exception)
