"""Gold mentions that a pipeline cannot express, each with its reason."""

import pytest
import spacy

from spacy_clinbert.corpora.records import Mention
from spacy_clinbert.evaluation.scheme import DISCONTINUOUS, OFF_TOKEN, OVERLAPPING, inexpressible

TEXT = "Took severe chest pain ."


def mention(*fragments: tuple[int, int], label: str = "a") -> Mention:
    return Mention(fragments, label)


@pytest.mark.parametrize(
    "mentions, entities, spans",
    [
        ([], {}, {}),
        ([mention((0, 4))], {}, {}),
        ([mention((0, 3))], {0: OFF_TOKEN}, {0: OFF_TOKEN}),
        ([mention((0, 4), (12, 17))], {0: DISCONTINUOUS}, {0: DISCONTINUOUS}),
        # Of two that overlap the longer can be found, of equal ones the first.
        ([mention((12, 22)), mention((5, 22))], {0: OVERLAPPING}, {}),
        ([mention((0, 4)), mention((0, 4))], {1: OVERLAPPING}, {}),
        ([mention((0, 4), label="b"), mention((0, 4))], {1: OVERLAPPING}, {}),
    ],
)
def test_reasons(mentions: list[Mention], entities: dict[int, str], spans: dict[int, str]) -> None:
    doc = spacy.blank("en")(TEXT)
    assert inexpressible(doc, mentions, may_overlap=False) == entities
    assert inexpressible(doc, mentions, may_overlap=True) == spans
