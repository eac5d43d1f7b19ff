"""`clinbert compare`: systems side by side with hand-checked scores; unlike test sets and doubled runs are refused."""

from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from spacy_clinbert.cli.compare import compare
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.evaluation.comparison import compare as compare_runs
from spacy_clinbert.evaluation.counts import Counts
from spacy_clinbert.evaluation.run import Run, read_run, write_run

DOCUMENTS = 30


def write(folder: Path, system: str, seed: int | None, found: float, checksum: str = "x", extra: bool = False) -> Path:
    """A run over documents of ten mentions; `found` of them right."""
    random = np.random.default_rng([seed or 0, *system.encode()])
    right = random.binomial(10, found, size=DOCUMENTS)
    rows = {"document": [{"a": Counts(int(n), 10, int(n), 10)} for n in right]}
    rows["paper"] = [{"a": Counts(0, 0, 0, 0)}] * DOCUMENTS
    if extra:
        rows["strict"] = rows["document"]
    ids = tuple(f"d{number}" for number in range(DOCUMENTS))
    folder.mkdir()
    write_run(Run(system, seed, "model", "test.spacy", "brat", checksum, None, ids, rows), folder)
    return folder


def show(*folders: Path) -> list[list[str]]:
    app = typer.Typer()
    app.command()(compare)
    done = CliRunner().invoke(app, list(map(str, folders)))
    if done.exception:
        raise done.exception
    return [line.split() for line in done.output.splitlines()]


def test_side_by_side(tmp_path):
    folders = [write(tmp_path / f"base-{seed}", "base", seed, 0.6) for seed in (1, 2, 3)]
    folders += [write(tmp_path / f"ours-{seed}", "ours", seed, 0.8, extra=True) for seed in (1, 2, 3)]
    folders.append(write(tmp_path / "same", "same", 1, 0.6))
    document, paper = compare_runs([(folder, read_run(folder)) for folder in folders])
    assert (document.metric, paper.metric) == ("document", "paper")
    for system, of_one in zip(document.systems, (folders[:3], folders[3:6], folders[6:])):
        each = [sum(row["a"].right for row in read_run(one).rows["document"]) / (10 * DOCUMENTS) for one in of_one]
        assert system.score == pytest.approx((np.mean(each),) * 3)
        assert system.spread == (pytest.approx((min(each), max(each))) if len(each) > 1 else None)
    ours, same = document.contrasts
    assert ours.difference == pytest.approx(document.systems[1].score.f - document.systems[0].score.f)
    assert ours.p < 0.01 and ours.adjusted == pytest.approx(2 * ours.p)
    assert same.p > 0.05 and same.adjusted == max(same.p, ours.adjusted)
    # Nothing was predicted and nothing annotated in the paper's lines: no score and no test.
    assert [system.score.f for system in paper.systems] == [None] * 3 and paper.contrasts == []

    lines = show(*folders)
    f1 = next(line for line in lines if line[:1] == ["F1"])
    assert f1[1] == f"{100 * document.systems[0].score.f:.2f}"
    assert f"{100 * ours.difference:+.2f}" in next(line for line in lines if line[:2] == ["document", "ours"])
    assert ["paper", "precision", "–", "–", "–"] in lines


def test_a_long_name_keeps_the_columns_straight(tmp_path):
    name = "training/a-system-with-a-long-name/model-best"
    folders = [write(tmp_path / "one", "one", 1, 0.7), write(tmp_path / "two", name, 1, 0.8)]
    app = typer.Typer()
    app.command()(compare)
    lines = CliRunner().invoke(app, list(map(str, folders))).output.splitlines()
    start = next(i for i, line in enumerate(lines) if "p (Holm)" in line)
    header, row = lines[start], next(line for line in lines[start:] if name in line)
    assert len(header) == len(row) == header.index("p (Holm)") + len("p (Holm)")


def test_order_of_documents_does_not_matter(tmp_path):
    first, second = (write(tmp_path / name, name, 1, 0.7) for name in ("one", "two"))
    run = read_run(second)
    turned = Run(
        **{**vars(run), "ids": run.ids[::-1], "rows": {name: list(rows)[::-1] for name, rows in run.rows.items()}}
    )
    pairs = [[(first, read_run(first)), (second, other)] for other in (run, turned)]
    assert compare_runs(pairs[0]) == compare_runs(pairs[1])


def test_one_run_each_says_nothing_of_seeds(tmp_path):
    folders = [write(tmp_path / name, name, None, 0.7) for name in ("one", "two")]
    assert "one run each: p says nothing of other seeds".split() in show(*folders)


@pytest.mark.parametrize(
    ("runs", "words"),
    [
        ([("one", 1, "x"), ("two", 1, "y")], "different test sets"),
        ([("one", 1, "x"), ("two", 1, "x"), ("two", 1, "x")], "run-1 and .*run-2 are both two with seed 1"),
        ([("one", None, "x"), ("one", None, "x")], "both one with no known seed"),
        ([("one", 1, "x"), ("one", 2, "x")], "give runs of two systems"),
        ([("one", 1, "x")], "give runs of two systems"),
    ],
)
def test_what_cannot_be_compared(tmp_path, runs, words):
    folders = [
        write(tmp_path / f"run-{number}", system, seed, 0.7, checksum)
        for number, (system, seed, checksum) in enumerate(runs)
    ]
    with pytest.raises(ClinbertError, match=words):
        show(*folders)


def test_a_cut_file_is_no_run_of_this_test_set(tmp_path):
    folders = [write(tmp_path / name, name, 1, 0.7) for name in ("one", "two")]
    documents = folders[1] / "documents.jsonl"
    documents.write_text("".join(documents.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(ClinbertError, match="different test sets"):
        show(*folders)


def test_no_run(tmp_path):
    with pytest.raises(ClinbertError, match="holds no"):
        show(tmp_path)


def test_runs_without_a_metric_in_common(tmp_path):
    pairs = [(folder, read_run(folder)) for folder in (write(tmp_path / name, name, 1, 0.7) for name in ("one", "two"))]
    other = Run(**{**vars(pairs[1][1]), "rows": {"cats": pairs[1][1].rows["document"]}})
    with pytest.raises(ClinbertError, match="no metric in common"):
        compare_runs([pairs[0], (pairs[1][0], other)])
