"""Tag schemes out of the names of classes, as published models have them."""

import pytest

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.tag_schemes import read_scheme


@pytest.mark.parametrize(
    ("classes", "scheme", "tags"),
    [
        (["O", "B-x", "I-x"], "iob2", ["O", "B-x", "I-x"]),
        (["B-x", "I-x", "B-y", "I-y", "O"], "iob2", ["B-x", "I-x", "B-y", "I-y", "O"]),
        (["<pad>", "O", "B_x", "I_x"], "iob2", ["O", "O", "B-x", "I-x"]),
        (["O", "X", "[CLS]", "[SEP]", "x-B", "x-I"], "iob2", ["O", "O", "O", "O", "B-x", "I-x"]),
        (["O", "B-Sign_symptom", "I-Sign_symptom"], "iob2", ["O", "B-Sign_symptom", "I-Sign_symptom"]),
        (["O", "B-x", "B-y", "I-y"], "iob2", ["O", "B-x", "B-y", "I-y"]),
        (["O", "b-x", "i-x"], "iob2", ["O", "B-x", "I-x"]),
        (["B", "I", "O"], "iob2", ["B-entity", "I-entity", "O"]),
        (["O", "I-x", "I-y", "B-y"], "iob1", ["O", "I-x", "I-y", "B-y"]),
        (["O", "I-x", "I-y"], "io", ["O", "I-x", "I-y"]),
        (["O", "DATE", "PATIENT"], "io", ["O", "I-DATE", "I-PATIENT"]),
        (["0", "B-cell", "T-cell"], "io", ["O", "I-B-cell", "I-T-cell"]),
        (["OUT", "S-100", "E-coli"], "io", ["O", "I-S-100", "I-E-coli"]),
        (["O", "B-x", "I-x", "L-x", "U-x"], "bilou", ["O", "B-x", "I-x", "I-x", "B-x"]),
        (["S-x", "E-x", "I-x", "B-x", "O"], "bilou", ["B-x", "I-x", "I-x", "B-x", "O"]),
        (["O", "B-x", "I-x", "B-x", "O"], "iob2", ["O", "B-x", "I-x", "B-x", "O"]),
        (["O", "B_x", "M_x", "E_x", "W_x"], "bilou", ["O", "B-x", "I-x", "I-x", "B-x"]),
    ],
)
def test_schemes(classes, scheme, tags):
    found = read_scheme(classes)
    assert (found.name, found.tags) == (scheme, tags)
    assert found.labels == list(dict.fromkeys(tag[2:] for tag in tags if tag != "O"))


def test_what_names_do_not_tell_is_given():
    assert read_scheme(["O", "B-x", "I-x"], "iob1").name == "iob1"
    assert read_scheme(["O", "B-x", "I-x"], "io").labels == ["B-x", "I-x"]


def test_classes_for_what_is_no_word_are_named():
    assert read_scheme(["O", "X", "[PAD]", "B-x"]).no_word == ["X", "[PAD]"]


@pytest.mark.parametrize(
    ("classes", "scheme", "message"),
    [
        (["LABEL_0", "LABEL_1"], None, "have no names .* --labels O,B-problem"),
        (["B-x", "I-x"], None, "is outside"),
        (["B-x", "B-x"], None, "is outside"),
        (["O", "X"], None, "is an entity"),
        (["O", "B-x", "I-x", "y"], None, "class y is of another form than B-x"),
        (["O", "B-x", "I-x"], "bilou", "are iob2, not bilou"),
        (["O", "B-x", "L-x", "U-x"], "iob2", "are bilou, not iob2"),
        (["O", "B-x", "I-x"], "bio", "unknown"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(classes, scheme, message):
    with pytest.raises(ClinbertError, match=message):
        read_scheme(classes, scheme)
