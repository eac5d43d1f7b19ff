"""Labels in groups: those of i2b2 2008, by disease and by class."""

import pytest
from sklearn.metrics import f1_score

from spacy_clinbert.evaluation.cats import score_cats, score_values
from spacy_clinbert.evaluation.counts import macro, micro


def judged(source: str, **answers: str) -> dict[str, float]:
    return {f"{source}:{one}={v}": float(v == answer) for one, answer in answers.items() for v in "YNQU"}


def scored(source: str, **answers: str) -> dict[str, float]:
    """No score is above one half: the highest of each group counts."""
    return {f"{source}:{one}={v}": 0.4 if v == answer else 0.2 for one, answer in answers.items() for v in "YNQU"}


GOLD = [judged("textual", Gout="Y", CAD="U"), judged("textual", Gout="N"), {}, judged("textual", CAD="Q", Gout="U")]
FOUND = [
    scored("textual", Gout="Y", CAD="U"),
    scored("textual", Gout="Y", CAD="Y"),
    scored("textual", Gout="Y", CAD="Y"),
    scored("textual", CAD="U", Gout="U"),
]


def test_each_group_has_one_answer_and_what_is_not_judged_is_left_out() -> None:
    found = score_cats(GOLD, FOUND)
    assert found.exclusive and found.accuracy == pytest.approx(3 / 5) == micro(found.rows).f
    assert found.rows[2] == {} and set(found.rows[1]) == {"textual:Gout=N", "textual:Gout=Y"}


def test_classes_over_all_diseases_as_scikit_learn_counts_them() -> None:
    rows = score_values(GOLD, FOUND)["textual"]
    truth, guess = list("YUNQU"), list("YUYUU")
    assert micro(rows).f == pytest.approx(f1_score(truth, guess, average="micro"))
    assert macro(rows).f == pytest.approx(f1_score(truth, guess, average="macro", zero_division=0))


def test_a_source_that_the_pipeline_does_not_answer_is_left_out() -> None:
    both = [one | judged("intuitive", Gout="Y") for one in GOLD]
    assert set(score_values(both, FOUND)) == {"textual"}
    assert score_values([{"a": 1.0}], [{"a": 1.0}]) == {}


def test_silence_is_wrong() -> None:
    assert score_cats(GOLD[:1], [{}]).accuracy == 0.0
