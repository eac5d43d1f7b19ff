"""The catalogue of encoders: what each row states, and what a name means."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spacy_clinbert.encoders import ENCODERS, NOT_STATED, find_encoder, resolve_encoder, unreachable
from spacy_clinbert.errors import ClinbertError

# (hub id, cased, strip accents, trained length, width, layers), from the models' cards and configurations.
STATED = {
    "bert-base-cased": ("google-bert/bert-base-cased", True, False, 512, 768, 12),
    "biobert-v1.0": ("monologg/biobert_v1.0_pubmed_pmc", True, False, 512, 768, 12),
    "bio-clinicalbert": ("emilyalsentzer/Bio_ClinicalBERT", True, False, 128, 768, 12),
    "bio-discharge-summary-bert": ("emilyalsentzer/Bio_Discharge_Summary_BERT", True, False, 128, 768, 12),
    "medbert": ("Charangan/MedBERT", True, False, 256, 768, 12),
    "bert-base-multilingual-cased": ("google-bert/bert-base-multilingual-cased", True, False, 512, 768, 12),
    "bert-base-multilingual-uncased": ("google-bert/bert-base-multilingual-uncased", False, True, 512, 768, 12),
    "biobertpt-all": ("pucpr/biobertpt-all", True, False, 512, 768, 12),
    "biobertpt-clin": ("pucpr/biobertpt-clin", True, False, 512, 768, 12),
    "biobertpt-bio": ("pucpr/biobertpt-bio", True, False, 512, 768, 12),
    "bertimbau-base": ("neuralmind/bert-base-portuguese-cased", True, False, 512, 768, 12),
    "bertimbau-large": ("neuralmind/bert-large-portuguese-cased", True, False, 512, 1024, 24),
}


def test_all_rows_are_checked_here():
    assert set(ENCODERS) == set(STATED)


@pytest.mark.parametrize("alias", STATED)
def test_tokenizer_flags_and_sizes_are_explicit(alias):
    row = ENCODERS[alias]
    stated = (row.hub_id, row.cased, row.strip_accents, row.trained_length, row.width, row.layers)
    assert stated == STATED[alias]
    assert isinstance(row.cased, bool) and isinstance(row.strip_accents, bool)


@pytest.mark.parametrize("alias", STATED)
def test_rows_are_complete(alias):
    row = ENCODERS[alias]
    assert row.alias == alias
    assert re.fullmatch(r"[0-9a-f]{40}", row.revision) or (row.revision == "main" and "commit" in row.note)
    assert row.licence in {"MIT", "Apache-2.0", NOT_STATED}
    assert row.text and all(row.text) and re.search(r"20\d\d", row.citation)
    assert row.parent is None or (row.parent in ENCODERS and row.parent != alias)


def test_text_seen_goes_back_to_the_first_ancestor():
    seen = ENCODERS["medbert"].seen
    assert [part for part in seen if "MIMIC-III" in part], "MedBERT started from Bio_ClinicalBERT"
    assert seen[0] == "English Wikipedia" and "CRAFT" in seen
    assert not any("MIMIC" in part for part in ENCODERS["biobert-v1.0"].seen)


def test_biobertpt_records_both_casings_and_the_evidence():
    note = ENCODERS["biobertpt-clin"].note
    assert "do_lower_case false" in note and "do_lower_case=True" in note and "ner_prediction.ipynb" in note


@pytest.mark.parametrize(
    "name", ["bio-clinicalbert", "Bio-ClinicalBERT", "EMILYALSENTZER/bio_clinicalbert", " bio-clinicalbert "]
)
def test_names_are_found_case_blind(name):
    assert find_encoder(name) is ENCODERS["bio-clinicalbert"]


def test_alias_resolves_to_hub_id_and_commit():
    source = resolve_encoder("medbert")
    assert source == ("Charangan/MedBERT", ENCODERS["medbert"].revision, ENCODERS["medbert"])


def test_unknown_name_counts_as_hub_id():
    assert resolve_encoder("someone/their-bert") == ("someone/their-bert", None, None)


def write_config(folder: Path, **config: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"} | config), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("place", "config", "alias"),
    [
        # The name in a config.json is that of the weights a model was started from, not its own.
        ("copy", {"_name_or_path": "emilyalsentzer/Bio_ClinicalBERT"}, None),
        ("hub/models--Charangan--MedBERT/x", {"_name_or_path": "emilyalsentzer/Bio_ClinicalBERT"}, "medbert"),
        ("hub/models--Charangan--MedBERT/snapshots/fac2c99", {}, "medbert"),
        ("pucpr/biobertpt-bio", {}, "biobertpt-bio"),
        ("mine", {}, None),
        ("mine", {"_name_or_path": "../elsewhere"}, None),
        # A folder of one's own that happens to bear an alias is no copy.
        ("medbert", {}, None),
    ],
)
def test_local_copies_are_recognised(tmp_path, place, config, alias):
    folder = write_config(tmp_path / place, **config)
    assert resolve_encoder(str(folder)) == (str(folder), None, ENCODERS[alias] if alias else None)


def test_a_folder_with_a_model_comes_before_the_catalogue(tmp_path, monkeypatch):
    write_config(tmp_path / "medbert")
    monkeypatch.chdir(tmp_path)
    assert resolve_encoder("medbert").location == "medbert"
    (tmp_path / "bio-clinicalbert").mkdir()
    assert resolve_encoder("bio-clinicalbert").location == "emilyalsentzer/Bio_ClinicalBERT"


def test_folder_without_model_is_one_sentence(tmp_path):
    with pytest.raises(ClinbertError, match=r"holds no config\.json"):
        resolve_encoder(str(tmp_path))


def test_broken_config_names_the_file(tmp_path):
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ClinbertError, match=r"config\.json is not JSON"):
        resolve_encoder(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "looked_for"), [("no/such-model", "not in the catalogue"), ("medbert", "Charangan/MedBERT")]
)
def test_unreachable_says_what_was_looked_for_and_how_to_give_a_folder(name, looked_for):
    message = str(unreachable(name))
    assert repr(name) in message and looked_for in message and "hub" in message and "give their folder" in message
    assert "\n" not in message


def test_catalogue_imports_neither_torch_nor_transformers():
    code = "import sys, spacy_clinbert.encoders; print(sorted({'torch', 'transformers', 'spacy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
