"""`clinbert calibrate`: on documents that early stopping did not see, by likelihood, saved with the pipeline."""

import numpy as np
import pytest
import spacy
from scipy.special import softmax
from spacy.tokens import DocBin
from spacy.training import Example
from thinc.api import Adam, fix_random_seed
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.evaluation.calibration import calibration
from spacy_clinbert.training.calibrate import calibrate
from spacy_clinbert.training.dev_halves import half_of, make_dev_half


def test_measures_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]])
    gold = np.array([[1.0, 0.0], [0.0, 1.0], [np.nan, np.nan]])
    found = calibration(probabilities, gold, exclusive=True)
    assert found.decisions == 2
    assert found.ece == pytest.approx((0.1 + 0.6) / 2)
    assert found.brier == pytest.approx((2 * 0.01 + 2 * 0.36) / 2)
    assert found.nll == pytest.approx(-np.log([0.9, 0.4]).mean())
    single = calibration(probabilities, gold, exclusive=False)
    assert single.decisions == 4 and single.brier == pytest.approx((0.01 + 0.01 + 0.36 + 0.36) / 4)
    assert calibration(probabilities[2:], gold[2:], exclusive=True).decisions == 0


def test_perfect_and_confident_probabilities_have_no_error_and_sure_wrong_ones_all() -> None:
    sure = np.array([[1.0, 0.0]] * 4)
    assert calibration(sure, sure, exclusive=True)[1:] == (0.0, 0.0, 0.0)
    assert calibration(sure, 1 - sure, exclusive=True).ece == 1.0


@pytest.fixture
def corpus(tmp_path):
    """Texts whose words say the label in four of five cases, so that a sure model is too sure."""
    nlp = spacy.blank("en")
    docs = DocBin()
    rng = np.random.default_rng(0)
    for number in range(60):
        label = number % 2
        doc = nlp.make_doc(f"{('chest pain', 'diabetes')[label]} patient {number} .")
        truth = label if rng.random() < 0.8 else 1 - label
        doc.cats = {"heart": float(truth == 0), "sugar": float(truth == 1)}
        docs.add(doc)
    docs.to_disk(tmp_path / "dev.spacy")
    return tmp_path / "dev.spacy"


def pipeline(tiny_bert, reader: dict):
    fix_random_seed(0)
    tok2vec = {"@architectures": "spacy_clinbert.NoteWindows.v1", "name": str(tiny_bert), "pooler": False}
    model = {"@architectures": "spacy_clinbert.TextClassifier.v1", "tok2vec": tok2vec, "pooling": "mean"}
    nlp = spacy.blank("en")
    nlp.add_pipe("clinbert_textcat", config={"model": model})
    texts = [("chest pain .", {"heart": 1.0, "sugar": 0.0}), ("diabetes .", {"heart": 0.0, "sugar": 1.0})]
    examples = [Example.from_dict(nlp.make_doc(text), {"cats": cats}) for text, cats in texts]
    nlp.initialize(lambda: examples)
    # Two texts learned by heart: right in four of five cases, and too sure.
    optimizer = Adam(3e-3)
    for _ in range(25):
        nlp.update(examples, sgd=optimizer)
    nlp.config["corpora"]["dev"] = reader
    return nlp


def halved(path) -> dict:
    return {"@readers": "spacy_clinbert.DevHalf.v1", "path": str(path), "half": "early_stopping"}


def test_the_halves_share_no_text_and_lose_none(corpus) -> None:
    nlp = spacy.blank("en")
    texts = [[eg.reference.text for eg in make_dev_half(corpus, h)(nlp)] for h in ("early_stopping", "calibration")]
    assert not set(texts[0]) & set(texts[1]) and sum(map(len, texts)) == 60 and min(map(len, texts)) > 15
    assert {half_of(text) for text in texts[0]} == {"early_stopping"}


def test_a_temperature_is_the_best_one_and_measured_on_the_unseen_half(tiny_bert, corpus) -> None:
    nlp = pipeline(tiny_bert, halved(corpus))
    textcat = nlp.get_pipe("clinbert_textcat")
    (fitted,) = calibrate(nlp, corpus)
    unseen = list(make_dev_half(corpus, "calibration")(nlp))
    assert fitted.before.decisions == len(unseen) and textcat.temperatures == {"": fitted.temperature}
    assert fitted.after.nll < fitted.before.nll and fitted.after.ece < fitted.before.ece
    assert 1.5 < fitted.temperature < 20
    logits = np.vstack(textcat.predict_logits([eg.predicted for eg in unseen]))
    truth = np.array([list(eg.reference.cats.values()) for eg in unseen])

    def nll(temperature: float) -> float:
        return calibration(softmax(logits / temperature, axis=1), truth, exclusive=True).nll

    assert fitted.after.nll == pytest.approx(nll(fitted.temperature), abs=1e-4)
    assert all(fitted.after.nll <= nll(t) + 1e-6 for t in np.exp(np.linspace(-3.9, 3.9, 60)))


@pytest.mark.parametrize("name", ["spacy.Corpus.v1", "spacy_clinbert.DevHalf.v1"])
def test_a_development_set_that_was_all_seen_is_refused(tiny_bert, corpus, name: str) -> None:
    reader = {"@readers": name, "path": str(corpus)} | ({"half": "calibration"} if "DevHalf" in name else {})
    with pytest.raises(ClinbertError, match="early stopping saw all"):
        calibrate(pipeline(tiny_bert, reader), corpus)


def test_where_nothing_was_seen_all_is_used(tiny_bert, corpus) -> None:
    (fitted,) = calibrate(pipeline(tiny_bert, {"@readers": "spacy.Corpus.v1", "path": None}), corpus)
    assert fitted.before.decisions == 60


def test_the_command_writes_a_calibrated_pipeline(tiny_bert, corpus, tmp_path) -> None:
    pipeline(tiny_bert, halved(corpus)).to_disk(tmp_path / "model")
    done = CliRunner().invoke(app, ["calibrate", str(tmp_path / "model"), str(corpus), str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert all(word in done.output for word in ("ECE", "Brier", "NLL", "→"))
    before, after = (spacy.load(tmp_path / name)("chest pain .").cats for name in ("model", "out"))
    assert before != after and max(before, key=before.get) == max(after, key=after.get)


def test_what_cannot_be_calibrated(tiny_bert, corpus, tmp_path) -> None:
    with pytest.raises(ClinbertError, match="0 components clinbert_textcat"):
        calibrate(spacy.blank("en"), corpus)
    with pytest.raises(ClinbertError, match=r"none\.spacy is no \.spacy file that can be read"):
        calibrate(pipeline(tiny_bert, halved(corpus)), tmp_path / "none.spacy")
    (tmp_path / "broken.spacy").write_bytes(b"He has fever")
    for reader in (halved(corpus), {"@readers": "spacy.Corpus.v1", "path": None}):
        with pytest.raises(ClinbertError, match=r"broken\.spacy is no \.spacy file"):
            calibrate(pipeline(tiny_bert, reader), tmp_path / "broken.spacy")
    DocBin(docs=[spacy.blank("en").make_doc("one")]).to_disk(tmp_path / "one.spacy")
    empty = "calibration" if half_of("one") == "early_stopping" else "early_stopping"
    with pytest.raises(ClinbertError, match="too small to be halved"):
        list(make_dev_half(tmp_path / "one.spacy", empty)(spacy.blank("en")))


@pytest.mark.parametrize("number, is_exclusive", [(1, True), (20, True), (20, False)])
def test_where_no_temperature_is_the_best_it_stays_uncalibrated(
    tiny_bert, tmp_path, number: int, is_exclusive: bool
) -> None:
    """A single document, and decisions that are all right, would be fitted without end."""
    nlp = pipeline(tiny_bert, {"@readers": "spacy.Corpus.v1", "path": None})
    textcat = nlp.get_pipe("clinbert_textcat")
    textcat.exclusive = is_exclusive
    docs = [nlp(f"chest pain patient {i} .") for i in range(number)]
    for doc in docs:
        doc.cats = {label: float(value >= 0.5) for label, value in doc.cats.items()}
    DocBin(docs=docs).to_disk(tmp_path / "alike.spacy")
    with pytest.warns(UserWarning, match="too few or too much alike: it stays uncalibrated"):
        (found,) = calibrate(nlp, tmp_path / "alike.spacy")
    assert textcat.temperatures == {"": 1.0} and found.before == found.after
