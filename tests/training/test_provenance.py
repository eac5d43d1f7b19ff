"""The meta of a saved pipeline names corpora, encoder and terms."""

import json
import logging

import pytest
import spacy

from spacy_clinbert.corpora.catalogue import FORMATS
from spacy_clinbert.encoders import find_encoder
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.training.provenance import create_name_corpora

I2B2 = FORMATS["i2b2_2010"]


def pipeline(encoder="bio-clinicalbert"):
    nlp = spacy.blank("en")
    architecture = {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": encoder}
    nlp.add_pipe("clinbert_ner", config={"model": {"tok2vec": architecture}})
    return nlp


def report(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    content = {"format": "i2b2_2010", "terms": I2B2.terms, "layer": "", "source": "", "synthetic": False, **changes}
    (folder / "report.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("given", ["", "report.json", "train.spacy"])
def test_corpus_and_encoder_are_named_once_and_survive_saving(given, tmp_path):
    name = create_name_corpora([str(report(tmp_path / "corpus") / given)])
    nlp = name(name(pipeline()))
    clinicalbert = find_encoder("bio-clinicalbert")
    nlp.to_disk(tmp_path / "model", exclude=["clinbert_ner"])
    sources = json.loads((tmp_path / "model" / "meta.json").read_text())["sources"]
    assert sources == [
        {"name": I2B2.title, "url": "", "author": "", "license": I2B2.terms, "gated": "yes"},
        {
            "name": f"encoder bio-clinicalbert ({clinicalbert.hub_id})",
            "url": f"https://huggingface.co/{clinicalbert.hub_id}",
            "author": clinicalbert.citation,
            "license": "MIT",
        },
    ]


def test_what_was_trained_on_before_stays(tmp_path):
    first = create_name_corpora([report(tmp_path / "a")])(pipeline())
    second = create_name_corpora([report(tmp_path / "b", format="brat", terms="CC BY 4.0", layer="Finding")])(first)
    names = [(source["name"], source.get("gated")) for source in second.meta["sources"]]
    assert names[0] == (I2B2.title, "yes") and len(names) == 3
    assert names[2] == (f"{FORMATS['brat'].title}, layer Finding", "unknown")


def test_a_synthetic_corpus_is_not_taken_for_the_real_one(tmp_path):
    (source, _) = create_name_corpora([report(tmp_path, synthetic=True)])(pipeline()).meta["sources"]
    assert source["name"].startswith("synthetic: ") and source["gated"] == "no" and "synth" in source["license"]


def test_a_report_is_read_before_training(tmp_path):
    name = create_name_corpora([report(tmp_path)])
    report(tmp_path, format="brat", terms="open")
    assert name(pipeline()).meta["sources"][0]["name"] == I2B2.title


def test_a_corpus_without_a_report_is_named_with_a_warning(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="spacy"):
        (source, _) = create_name_corpora([tmp_path / "mine.spacy"])(pipeline()).meta["sources"]
    assert source["name"] == "mine.spacy" and source["license"] == "not stated"
    assert "mine.spacy" in caplog.text and "terms" in caplog.text


@pytest.mark.parametrize("content", ["", "[]", "{}", '"text of a note"', '{"format": "i2b2_2010"}'])
def test_a_report_that_is_none_is_one_sentence(content, tmp_path):
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(ClinbertError, match="convert the corpus again") as error:
        create_name_corpora([tmp_path])
    assert "text of a note" not in str(error.value)


def test_an_encoder_of_ones_own_is_named_without_its_place(tiny_bert):
    (source,) = create_name_corpora([])(pipeline(str(tiny_bert))).meta["sources"]
    assert source == {"name": f"encoder {tiny_bert.name}", "url": "", "author": "", "license": "not stated"}


@pytest.mark.parametrize(
    "form, gated",
    [("i2b2_2010", "yes"), ("mednli", "yes"), ("pubmed_rct", "no"), ("conll", "unknown"), ("x", "unknown")],
)
def test_gated_by_the_corpus(tmp_path, form, gated):
    (source, *_) = create_name_corpora([report(tmp_path, format=form)])(pipeline()).meta["sources"]
    assert source["gated"] == gated


def test_every_corpus_of_notes_under_an_agreement_is_gated():
    agreements = [form for form in FORMATS.values() if "agreement" in form.terms or "request form" in form.terms]
    assert len(agreements) >= 5 and all(form.gated for form in agreements)
