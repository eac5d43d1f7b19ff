"""Bags of codes and what is fitted to them; static vectors; subsets of a cohort and the learning curve."""

import json

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from cohort_patients import write_cohort
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.ehr.baselines import BASELINES, read_bags, run_baselines
from spacy_clinbert.ehr.curve import train_along, write_curve
from spacy_clinbert.ehr.ehr_manifest import check_files, read_manifest, write_manifest
from spacy_clinbert.ehr.predictions import TRAINED_ON, read_all, read_predictions
from spacy_clinbert.ehr.static_vectors import associate, count_near, decompose, make_vectors
from spacy_clinbert.ehr.subsets import training_subset
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.code_vocabulary import read_codes
from spacy_clinbert.models.static_codes import read_table
from spacy_clinbert.scale.made import describe


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """The outcome comes to those who ever had R01."""
    return write_cohort(tmp_path_factory.mktemp("cohort") / "c", 300, lambda codes: "R01" in codes)


def refresh(folder):
    """Let the manifest tell what the shards are now."""
    manifest = read_manifest(folder)
    shards = [describe(folder / shard.name, shard.rows) for shard in manifest.shards]
    write_manifest(manifest.model_copy(update={"shards": shards}), folder)


def test_bags_are_the_codes_of_the_patients(cohort):
    bags = read_bags(cohort, "test")
    keys = read_codes(cohort).keys[4:]
    rows = pl.concat([pl.read_parquet(cohort / shard.name) for shard in read_manifest(cohort).split("test")])
    assert bags.ids == rows["subject_id"].to_list() and bags.has.shape == (len(rows), len(keys))
    for number, ids in enumerate(rows["input_ids"].to_list()):
        assert set(bags.has[[number]].nonzero()[1]) == {one - 4 for one in ids if one >= 4}
    assert set(np.unique(bags.has.data)) == {1.0}
    column = keys.index("ICD10CM/R01")
    np.testing.assert_array_equal(bags.truth, bags.has[:, [column]].toarray()[:, 0])


def test_settings_are_chosen_on_valid_and_predictions_are_of_test(cohort, tmp_path):
    found = run_baselines(cohort, tmp_path, range(2))
    systems = read_all([tmp_path])
    assert {name: len(draws) for name, draws in systems.items()} == {"boosting": 1, "forest": 2, "logistic": 1}
    test = read_bags(cohort, "test")
    for name, draws in systems.items():
        assert found[name].settings in BASELINES[name].grid and found[name].auroc > 0.95
        for draw in draws:
            assert set(draw.table["subject_id"]) == set(test.ids) and draw.trained_on == "invented"
            assert roc_auc_score(draw.table["boolean_value"], draw.table["predicted_boolean_probability"]) > 0.95
    one, two = (draw.table["predicted_boolean_probability"] for draw in systems["forest"])
    assert not one.equals(two)
    train = read_bags(cohort, "train")
    model = LogisticRegression(max_iter=2000, **found["logistic"].settings).fit(train.has, train.truth)
    expected = dict(zip(test.ids, model.predict_proba(test.has)[:, 1]))
    logistic = systems["logistic"][0].table
    assert logistic["predicted_boolean_probability"].to_list() == pytest.approx(
        [expected[subject] for subject in logistic["subject_id"]]
    )
    run_baselines(cohort, tmp_path / "again", range(2))
    for path in tmp_path.glob("*.parquet"):
        assert read_predictions(path).table.equals(read_predictions(tmp_path / "again" / path.name).table)


def test_cohorts_that_teach_nothing(cohort, tmp_path):
    same = write_cohort(tmp_path / "same", 60, lambda codes: False)
    with pytest.raises(ClinbertError, match="all training patients have the same outcome"):
        run_baselines(same, tmp_path / "out")
    with pytest.raises(ClinbertError, match="holds no manifest"):
        run_baselines(tmp_path / "none", tmp_path / "out")
    no_test = write_cohort(tmp_path / "no-test", 60, lambda codes: "R01" in codes, shares=(7, 3, 0))
    with pytest.raises(ClinbertError, match="has no patients for test"):
        run_baselines(no_test, tmp_path / "out")
    (shard,) = read_manifest(same).split("train")
    (same / shard.name).write_bytes(b"PAR1")
    with pytest.raises(ClinbertError, match="damaged"):
        run_baselines(same, tmp_path / "out")


def test_subsets_nest_and_are_whole_cohorts(cohort):
    everyone = set(read_bags(cohort, "train").ids)
    found = {}
    for size, draw in ((20, 0), (50, 0), (20, 1), (10_000, 0)):
        with training_subset(cohort, size, draw) as folder:
            check_files(folder, read_manifest(folder))
            found[size, draw] = set(read_bags(folder, "train").ids)
            assert read_bags(folder, "test").ids == read_bags(cohort, "test").ids
        assert not folder.exists()
    assert found[20, 0] < found[50, 0] < found[10_000, 0] == everyone
    assert len(found[20, 0]) == 20 and found[20, 0] != found[20, 1]


def test_subsets_of_a_rare_outcome_have_it(tmp_path):
    rare = write_cohort(tmp_path / "rare", 300, lambda codes: codes[:2] == ["R03", "R01"] or codes[-1:] == ["X"])
    truth = read_bags(rare, "train").truth
    assert 0 < truth.sum() < 10
    for size in (2, 20, 100, len(truth)):
        for draw in range(6):
            with training_subset(rare, size, draw) as folder:
                found = read_bags(folder, "train").truth
            assert 1 <= found.sum() <= max(1, np.ceil(size * truth.mean())) + 1
    with training_subset(rare, 20, 0) as folder:
        run_baselines(folder, tmp_path / "out", [0], ["logistic", "boosting"])


def test_baselines_are_tested_on_another_source(cohort, tmp_path):
    """Codes of another vocabulary are found by their keys; of codes that training never saw nothing is known."""
    other = write_cohort(tmp_path / "other", 80, lambda codes: "R01" in codes, visits=2, design_seed=9)
    keys = read_codes(cohort).keys
    shuffled = [*keys[:4], *keys[:3:-1], "ICD10CM/NEW"]
    rows = pl.read_parquet(other / read_manifest(other).split("test")[0].name)
    own = read_codes(other).keys
    ids = [[shuffled.index(own[number]) for number in one] for one in rows["input_ids"].to_list()]
    ids[0].append(len(shuffled) - 1)
    bags = {"own": read_bags(other, "test", keys)}
    rows.with_columns(input_ids=pl.Series(ids, dtype=pl.List(pl.Int32))).write_parquet(
        other / read_manifest(other).split("test")[0].name
    )
    (other / "codes.json").write_text(json.dumps(shuffled))
    bags["shuffled"] = read_bags(other, "test", keys)
    assert (bags["own"].has != bags["shuffled"].has).nnz == 0 and bags["own"].has.shape[1] == len(keys) - 4
    done = CliRunner().invoke(
        app, ["ehr", "baselines", str(cohort), str(tmp_path / "out"), "--runs", "1", "--test-on", str(other)]
    )
    assert done.exit_code == 0, done.output
    for name in BASELINES:
        found = read_predictions(tmp_path / "out" / f"{name}.0.parquet")
        assert set(found.table["subject_id"]) == set(bags["own"].ids) and found.trained_on == "invented"
        assert roc_auc_score(found.table["boolean_value"], found.table["predicted_boolean_probability"]) > 0.95


def test_the_learning_curve_goes_on_where_it_was_stopped(cohort, tmp_path):
    trained = []

    def train(folder, place, draw):
        trained.append((place.name, draw))
        run_baselines(folder, place, [draw], ["logistic"])

    everyone = str(len(read_bags(cohort, "train").ids))
    with pytest.raises(ClinbertError, match="--curve"):
        write_curve(tmp_path / "curve")
    for _ in range(2):
        train_along(cohort, tmp_path / "curve", ["logistic"], 2, train)
    assert trained == [(size, draw) for size in ("100", everyone) for draw in (0, 1)]
    summary = write_curve(tmp_path / "curve")
    assert summary.select("system", "size", "draws").rows() == [("logistic", 100, 2), ("logistic", int(everyone), 2)]
    scores = pl.read_csv(tmp_path / "curve" / "scores.csv")
    one = read_predictions(tmp_path / "curve" / "100" / "logistic.1.parquet").table
    expected = roc_auc_score(one["boolean_value"], one["predicted_boolean_probability"])
    assert scores.row(1) == ("logistic", 100, 1, pytest.approx(expected))
    done = CliRunner().invoke(app, ["ehr", "curve", str(tmp_path / "curve")])
    assert done.exit_code == 0 and "logistic" in done.output
    assert (tmp_path / "curve" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_baselines_command(cohort, tmp_path):
    done = CliRunner().invoke(app, ["ehr", "baselines", str(cohort), str(tmp_path), "--runs", "1"])
    assert done.exit_code == 0, done.output
    assert "min_samples_leaf" in done.output and len(list(tmp_path.iterdir())) == 3
    table = pl.read_parquet(tmp_path / "logistic.0.parquet")
    assert table.columns == ["subject_id", "prediction_time", "boolean_value", "predicted_boolean_probability"]
    assert json.loads((cohort / "cohort.json").read_text())["plan"]["source"] == "invented"
    assert pl.read_parquet_metadata(tmp_path / "logistic.0.parquet")[TRAINED_ON] == "invented"


def test_codes_are_near_in_their_visit_and_the_next_ones():
    ids, visits = [[4, 5, 6, 7], [7, 2, 5]], [[1, 1, 2, 3], [1, 1, 2]]
    batch = pa.RecordBatch.from_pydict({"input_ids": ids, "visit": visits})
    for window in (0, 1, 5):
        expected = np.zeros((8, 8))
        for codes, numbers in zip(ids, visits):
            for i, one in enumerate(codes):
                for j, two in enumerate(codes):
                    if i != j and min(one, two) >= 4 and abs(numbers[i] - numbers[j]) <= window:
                        expected[one, two] += 1
        np.testing.assert_array_equal(count_near(batch, 8, window).toarray(), expected)


def test_vectors_keep_what_the_counts_say():
    random_ = np.random.default_rng(0)
    counts = random_.poisson(0.7, (12, 12)).astype(float)
    counts += counts.T
    mutual = associate(sparse.csr_array(counts)).toarray()
    shares = counts.sum(axis=1) / counts.sum()
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(mutual, np.maximum(np.log(counts / counts.sum() / np.outer(shares, shares)), 0))
    vectors = decompose(sparse.csr_array(mutual), 40, 0)
    assert vectors.shape == (12, 40) and not vectors[:, 11:].any()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(
        decompose(sparse.csr_array(mutual), 4, 1),
        vectors[:, :4] / np.linalg.norm(vectors[:, :4], axis=1, keepdims=True),
        atol=1e-4,
    )


@pytest.mark.parametrize("counts", [np.ones((2, 2)), np.ones((1, 1)), np.ones((3, 3)) - np.eye(3), np.eye(4)])
def test_vectors_of_codes_that_little_tells_apart(counts):
    mutual = associate(sparse.csr_array(counts))
    vectors = decompose(mutual, 4, 0)
    assert vectors.shape == (len(counts), 4) and np.isfinite(vectors).all()
    assert vectors.any() == bool(mutual.count_nonzero())


def test_one_code_again_and_again_has_no_vectors(tmp_path):
    events = write_cohort(tmp_path / "same", 40, lambda codes: len(codes) > 0, visits=3, codes=1)
    for shard in read_manifest(events).shards:
        table = pl.read_parquet(events / shard.name)
        table = table.with_columns(input_ids=pl.col("input_ids").list.eval(pl.element() * 0 + 4))
        table.write_parquet(events / shard.name)
    refresh(events)
    with pytest.raises(ClinbertError, match="no two codes near each other"):
        make_vectors(events, tmp_path / "vectors", 4)


def test_vectors_of_prepared_patients(cohort, tmp_path):
    for name in ("one", "two"):
        done = CliRunner().invoke(app, ["ehr", "vectors", str(cohort), str(tmp_path / name), "--width", "8"])
        assert done.exit_code == 0, done.output
    keys = read_codes(tmp_path / "one").keys
    table = read_table(tmp_path / "one", len(keys))
    assert table.shape == (len(keys), 8) and not table[:4].any()
    first, second = ((tmp_path / name / "vectors.safetensors").read_bytes() for name in ("one", "two"))
    assert first == second
    alone = write_cohort(tmp_path / "alone", 60, lambda codes: "R01" in codes, visits=1, codes=1)
    with pytest.raises(ClinbertError, match="no two codes near each other"):
        make_vectors(alone, tmp_path / "none", 4)
