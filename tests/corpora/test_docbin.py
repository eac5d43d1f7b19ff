from pathlib import Path

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from spacy_clinbert.corpora.docbin import DocBinWriter
from spacy_clinbert.errors import ClinbertError

NLP = spacy.blank("en")
words = st.text(alphabet="ab é\n", max_size=20)


def back(path: Path) -> list[Doc]:
    # Strings are to come with the file, hence a vocabulary that knows none.
    return list(DocBin().from_disk(path).get_docs(Vocab()))


@given(texts=st.lists(words, max_size=6), data=st.data())
def test_it_is_what_docbin_reads(
    texts: list[str], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("bin") / "train.spacy"
    docs = []
    for text in texts:
        doc = NLP.make_doc(text)
        if len(doc) and data.draw(st.booleans()):
            start = data.draw(st.integers(0, len(doc) - 1))
            doc.ents = [doc[start : start + 1]]
            doc.ents = [spacy.tokens.Span(doc, start, start + 1, data.draw(st.sampled_from("XY")))]
            doc.spans["layer of spans"] = [spacy.tokens.Span(doc, 0, len(doc), "Ünusual")]
        doc.cats = data.draw(st.dictionaries(st.sampled_from(["a", "b"]), st.just(1.0)))
        doc.user_data["clinbert_id"] = (("x", 1), text)
        docs.append(doc)
    with DocBinWriter(path) as writer:
        for doc in docs:
            writer.add(doc)
    read = back(path)
    assert [doc.to_json() for doc in read] == [doc.to_json() for doc in docs]
    assert [doc.user_data for doc in read] == [doc.user_data for doc in docs]
    # As a DocBin made in memory would give them back.
    (path.parent / "memory").write_bytes(DocBin(["ENT_IOB", "ENT_TYPE"], store_user_data=True, docs=docs).to_bytes())
    assert [doc.to_json() for doc in back(path.parent / "memory")] == [doc.to_json() for doc in read]


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), DocBinWriter(tmp_path / "train.spacy") as writer:
        writer.add(NLP.make_doc("BP low"))
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_more_than_the_form_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spacy_clinbert.corpora.docbin.LARGEST", 40)
    with (
        pytest.raises(ClinbertError, match=r"train\.spacy: a DocBin cannot hold"),
        DocBinWriter(tmp_path / "train.spacy") as w,
    ):
        w.add(NLP.make_doc("BP low"))
    assert not list(tmp_path.iterdir())
