"""What an encoder saw of a corpus, by the two catalogues."""

from dataclasses import replace
from pathlib import Path

import pytest
import spacy

from spacy_clinbert.corpora.catalogue import FORMATS
from spacy_clinbert.evaluation.seen import what_was_seen

NOTES, SUMMARIES = "MIMIC-III notes, all of NOTEEVENTS", "MIMIC-III discharge summaries"


def pipeline(name: str | None):
    nlp = spacy.blank("en")
    if name is not None:
        nlp.add_pipe("clinbert_ner", config={"model": {"tok2vec": {"name": name}}})
    return nlp


def form(*texts: str):
    return replace(FORMATS["i2b2_2010"], texts=texts, reservation="")


@pytest.mark.parametrize(
    "encoder, texts, verdict",
    [
        ("bio-clinicalbert", (NOTES,), "yes"),
        ("emilyalsentzer/Bio_ClinicalBERT", (NOTES,), "yes"),
        # A folder that is gone, or was on another machine.
        ("/there/emilyalsentzer/Bio_ClinicalBERT", (NOTES,), "yes"),
        # MedBERT goes on from ClinicalBERT.
        ("medbert", (NOTES,), "yes"),
        ("medbert", ("CRAFT",), "yes"),
        ("bio-clinicalbert", ("CRAFT",), "no"),
        ("bio-clinicalbert", (SUMMARIES,), "yes"),
        ("bio-discharge-summary-bert", (SUMMARIES,), "yes"),
        ("bio-discharge-summary-bert", (NOTES,), "partly"),
        ("bert-base-cased", (NOTES, "CRAFT"), "no"),
        ("bio-clinicalbert", (), "unknown"),
        ("my-lab/my-bert", (NOTES,), "unknown"),
        (None, (NOTES,), "unknown"),
    ],
)
def test_by_encoder_and_text(encoder: str | None, texts: tuple[str, ...], verdict: str) -> None:
    seen = what_was_seen(pipeline(encoder), form(*texts))
    assert (seen.encoder, seen.verdict) == (encoder, verdict)
    assert ("the encoder saw this text unlabelled" in seen.statement) == (verdict in ("yes", "partly"))


def test_of_i2b2_2010_only_the_notes_of_one_hospital_are_in_mimic() -> None:
    seen = what_was_seen(pipeline("bio-clinicalbert"), FORMATS["i2b2_2010"])
    assert seen.verdict == "partly"
    assert "only the notes of Beth Israel" in seen.statement and NOTES in seen.statement
    portuguese = what_was_seen(pipeline("biobertpt-clin"), FORMATS["semclinbr"])
    assert portuguese.verdict == "partly" and "is not published" in portuguese.statement


def test_a_folder_that_holds_no_encoder_any_more_is_unknown(tmp_path: Path) -> None:
    assert what_was_seen(pipeline(str(tmp_path)), form(NOTES)).verdict == "unknown"


def test_the_name_outlives_saving(tiny_bert: Path, tmp_path: Path) -> None:
    nlp = pipeline(str(tiny_bert))
    nlp.get_pipe("clinbert_ner").add_label("problem")
    nlp.initialize()
    nlp.to_disk(tmp_path / "model")
    assert what_was_seen(spacy.load(tmp_path / "model"), form(NOTES)).encoder == str(tiny_bert)


def test_an_encoder_of_spacy_transformers_is_found() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config={"model": {"name": "Charangan/MedBERT"}})
    assert what_was_seen(nlp, form("CRAFT")).verdict == "yes"


def test_of_several_encoders_each_is_told_and_the_one_that_saw_most_decides() -> None:
    nlp = pipeline("bert-base-cased")
    nlp.add_pipe("clinbert_ner", "second", config={"model": {"tok2vec": {"name": "bio-clinicalbert"}}})
    seen = what_was_seen(nlp, form(NOTES))
    assert (seen.encoder, seen.verdict) == ("bert-base-cased, bio-clinicalbert", "yes")
    assert seen.statement.count("Encoder ") == 2
