"""The scorer of `doc.cats`, beside scikit-learn, on gold and names of every kind."""

from typing import Dict, List

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_clinbert.evaluation.cats_scorer import score_categories
from spacy_clinbert.models.window_probabilities import LabelGroup

VOCAB = Vocab()
GOLD = np.array([0, 1, 1, 0, 0, 1])
FOUND = np.array([0, 1, 0, 0, 1, 1])


def example(found: Dict[str, float], gold: Dict[str, float]) -> Example:
    docs = [Doc(VOCAB, words=["fever"]) for _ in range(2)]
    docs[0].cats, docs[1].cats = found, gold
    return Example(*docs)


def answers(labels: List[str], gold: np.ndarray, found: np.ndarray) -> List[Example]:
    sides = [[{one: float(i == k) for i, one in enumerate(labels)} for k in side] for side in (found, gold)]
    return [example(*pair) for pair in zip(*sides)]


@pytest.mark.parametrize("labels", [["Y", "N"], ["dose=high", "dose=low"], [">=30", "<=10"], ["a:b=c", "é ,"]])
@pytest.mark.parametrize("group", ["", "one"])
def test_exclusive_labels_of_any_name_are_scored_as_by_scikit_learn(labels: List[str], group: str) -> None:
    scores = score_categories(answers(labels, GOLD, FOUND), labels=labels, groups=[LabelGroup(group, [0, 1], True)])
    assert scores["cats_micro_f"] == pytest.approx(accuracy_score(GOLD, FOUND))
    assert scores["cats_macro_f"] == pytest.approx(f1_score(GOLD, FOUND, average="macro"))


def test_a_document_of_another_question_is_left_out_of_a_single_group() -> None:
    examples = [*answers(["Y", "N"], GOLD, FOUND), example({"Y": 1.0, "N": 0.0}, {"other": 1.0})]
    scores = score_categories(examples, labels=["Y", "N"], groups=[LabelGroup("one", [0, 1], True)])
    assert scores["cats_micro_f"] == pytest.approx(accuracy_score(GOLD, FOUND))
    assert set(scores["cats_per_group"]) == {"one"}


def test_gold_counts_as_in_training_from_one_half_on_and_where_it_is_a_number() -> None:
    gold = [(1.0, 0.3), (0.6, 0.0), (0.2, 1.0), (0.0, 1.0)]
    found = [(0.9, 0.1), (0.4, 0.2), (0.7, 0.8), (0.1, 0.3)]
    examples = [example(dict(zip("ab", one)), dict(zip("ab", other))) for one, other in zip(found, gold)]
    # Not judged, hence neither right nor wrong.
    examples.append(example({"a": 0.9, "b": 0.9}, {"a": float("nan"), "b": 1.0}))
    scores = score_categories(examples, labels=["a", "b"])
    a = f1_score([1, 1, 0, 0], [1, 0, 1, 0])
    b = f1_score([0, 0, 1, 1, 1], [0, 0, 1, 0, 1])
    assert scores["cats_f_per_type"]["a"]["f"] == pytest.approx(a)
    assert scores["cats_f_per_type"]["b"]["f"] == pytest.approx(b)
    assert scores["cats_macro_f"] == pytest.approx((a + b) / 2)
