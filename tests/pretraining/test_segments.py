"""Notes into segments: what the settings do to a note, and what no setting loses."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imported_modules import imported
from transformers import AutoTokenizer

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.pretraining.export_tokenizer import load_tokenizer, read_wordpieces
from spacy_clinbert.pretraining.schemas import NOTES, SEGMENTS
from spacy_clinbert.pretraining.segments import KINDS, TAGS, note_segments, segment_batches
from spacy_clinbert.rules import find_placeholders, original_segments, split_sections

NOTE = (
    "Admission Date:  [**2101-3-4**]       Discharge Date:  [**2101-3-9**]\n\n"
    "HISTORY OF PRESENT ILLNESS:\nMr. [**Known lastname 202**] has chest\npain. He was seen at [**Hospital1 18**].\n\n"
    "MEDICATIONS:\n1. aspirin 81 mg daily.\n2. metformin.\n"
)
# The words of note text, its titles, lists, placeholders, and what is hard on splitters.
HARD = "\n|\n\n|PLAN:|1.|2)|___|[**Name**]|----|\x85|\x1c|é🙂".split("|")
TEXTS = st.lists(st.sampled_from([*NOTE.split(" "), *HARD]) | st.text(max_size=8), max_size=40).map(" ".join)


def batch_of(*texts: str) -> pa.RecordBatch:
    rows = [{"note_id": f"n{n}", "patient": "", "category": "", "text": text} for n, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, NOTES)


def lines(text: str, **changes: object) -> list[str]:
    return [segment.text for segment in note_segments(text, ExportSettings(**changes))]


@pytest.mark.parametrize(
    ("placeholders", "expected"),
    [
        ("keep", "Mr. [**Known lastname 202**] has chest pain."),
        ("tag", "Mr. [NAME] has chest pain."),
        ("drop", "Mr. has chest pain."),
    ],
)
def test_placeholders_stay_become_one_tag_or_go(placeholders, expected):
    assert expected in lines(NOTE, placeholders=placeholders)


def test_every_kind_of_placeholder_has_a_tag():
    shown = "[**First Name8 (NamePattern2)**] [**2101-3-4**] [**Age over 90 **] [**State**] [**Hospital1 18**] "
    shown += "[**Telephone/Fax (1) 12**] [**Numeric Identifier 12**] ___"
    assert [kind for _, _, kind in find_placeholders(shown)] == list(KINDS)
    (line,) = lines(shown, placeholders="tag", sections="none")
    assert line == " ".join(TAGS[kind] for kind in KINDS)


def test_a_section_whose_first_sentence_is_dropped_still_starts():
    segments = list(
        note_segments("PLAN:\n[**Name**]\n\n[**2101-3-4**]\nRest at home.", ExportSettings(placeholders="drop"))
    )
    assert [segment.starts for segment in segments] == [True] + [False] * (len(segments) - 1)
    assert segments[-1].text.endswith("Rest at home.") and segments[-1].section == "plan"
    (only,) = note_segments("[**Name**]\nRest at home.", ExportSettings(placeholders="drop"))
    assert only == ("Rest at home.", True, "")


@pytest.mark.parametrize("sections", ["clinical", "none", "original", "original-fixed"])
def test_starts_are_those_of_the_sections(sections):
    segments = list(note_segments(NOTE, ExportSettings(sections=sections)))
    titled = [segment.text.split(":")[0] for segment in segments if segment.starts]
    if sections == "none":
        assert titled == ["Admission Date"] and {segment.section for segment in segments} == {""}
    elif sections == "clinical":
        assert len(titled) == len(split_sections(NOTE))
        assert [s.section for s in segments if s.starts] == [s.category for s in split_sections(NOTE)]
    else:
        assert len(titled) == len(original_segments(NOTE, fixed=sections == "original-fixed"))
        assert {segment.section for segment in segments} == {""}


def test_the_original_loses_the_first_item_of_a_list_and_the_fixed_one_does_not():
    text = "Findings:\n1. stones.\n2. a cyst.\n3. no mass.\n"
    assert "1. stones." not in lines(text, sections="original")
    assert "1. stones." in lines(text, sections="original-fixed")


def test_a_note_that_the_original_lost_is_rejected_and_the_others_are_not():
    rejected: list = []
    lost = "Admission Date: 1 Discharge Date: 2"
    batches = segment_batches(
        [batch_of(NOTE, lost, " \n", NOTE)], ExportSettings(sections="original"), None, rejected.append
    )
    (batch,) = batches
    assert batch.schema == SEGMENTS and batch["note_id"].to_pylist() == ["n0", "n3"]
    assert [row.note_id for row in rejected] == ["n1", "n2"]
    assert "splitter" in rejected[0].reason and "no sentence" in rejected[1].reason


@settings(max_examples=60)
@given(TEXTS, st.sampled_from(["clinical", "none"]))
def test_no_word_is_lost_and_each_sentence_is_one_line(text, sections):
    found = lines(text, sections=sections)
    assert " ".join(found) == " ".join(text.split())
    assert all(line == " ".join(line.splitlines()) and line.strip() for line in found)


@settings(max_examples=40)
@given(st.lists(TEXTS, max_size=4), st.sampled_from(["clinical", "original", "original-fixed", "none"]))
def test_the_rows_of_a_batch_are_those_of_its_notes_alone(texts, sections):
    chosen = ExportSettings(sections=sections, placeholders="tag")
    together = [row for batch in segment_batches([batch_of(*texts)], chosen) for row in batch.to_pylist()]
    alone = [
        row
        for number in range(len(texts))
        for batch in segment_batches([batch_of(*texts).slice(number, 1)], chosen)
        for row in batch.to_pylist()
    ]
    assert together == alone
    assert all(len(row["sentences"]) == len(row["starts"]) == len(row["sections"]) for row in together)
    assert all(row["starts"][0] and not any(row["pieces"]) for row in together)


@pytest.fixture(scope="module", params=["keep", "tag"])
def tokenized(request, tiny_bert, tmp_path_factory):
    chosen = ExportSettings(tokenizer=str(tiny_bert), placeholders=request.param)
    tokenizer = load_tokenizer(chosen)
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer.save_pretrained(folder)
    return chosen, tokenizer, read_wordpieces(folder), folder


def test_the_pieces_are_those_of_the_tokenizer(tokenized):
    chosen, tokenizer, wordpieces, _ = tokenized
    many = "Chest pain was given. " * 2000
    (batch,) = segment_batches([batch_of(NOTE, many, "\x00 pain \ufffd")], chosen, wordpieces)
    for row in batch.to_pylist():
        assert row["pieces"] == tokenizer(row["sentences"], add_special_tokens=False)["input_ids"]


def test_tags_are_single_special_pieces_and_other_specials_in_a_note_are_text(tokenized):
    chosen, tokenizer, wordpieces, folder = tokenized
    (batch,) = segment_batches([batch_of("[**2101-3-4**] pain [SEP] [MASK]")], chosen, wordpieces)
    (pieces,) = batch["pieces"][0].as_py()
    assert not {tokenizer.sep_token_id, tokenizer.mask_token_id} & {*pieces}
    saved = AutoTokenizer.from_pretrained(folder)
    tagged = chosen.placeholders == "tag"
    assert (saved.convert_ids_to_tokens(pieces[0]) == "[DATE]") == tagged
    assert {*TAGS.values()} <= {*saved.all_special_tokens} if tagged else len(saved) == len(tokenizer)
    assert saved.model_max_length == chosen.length


def write(folder, name, text):
    folder.mkdir()
    (folder / name).write_text(text)
    return str(folder)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: "", "needs a tokenizer"),
        (lambda folder: write(folder / "t", "notes.txt", "secret"), "holds none of"),
        (lambda folder: write(folder / "t", "tokenizer.json", "{secret"), "cannot be loaded"),
        (lambda folder: write(folder / "t", "tokenizer_config.json", '{"tokenizer_class": "ByT5Tokenizer"}'), "cannot"),
        (lambda folder: "no/such-model", "not reachable"),
    ],
)
def test_a_bad_tokenizer_is_one_sentence(tmp_path, monkeypatch, make, message):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ClinbertError, match=message) as raised:
        load_tokenizer(ExportSettings(tokenizer=make(tmp_path)))
    assert "\n" not in str(raised.value) and "secret" not in str(raised.value)


def test_a_tokenizer_loads_without_what_models_need(tiny_bert):
    code = "import sys; from spacy_clinbert.models.checkpoints import read_tokenizer; read_tokenizer(sys.argv[1])"
    assert imported(code, ("spacy", "sklearn", "torch._dynamo"), str(tiny_bert)) == []
