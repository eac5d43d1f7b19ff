"""Record batches of notes in, record batches of annotations out."""

import sys
from pathlib import Path

import pyarrow as pa
import pytest
import spacy
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc
from tiny_models import write_ruler

from spacy_clinbert.corpora.notes import Note
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.scale.annotate import annotate_batches, load_pipeline
from spacy_clinbert.scale.batches import note_batches
from spacy_clinbert.scale.schemas import NOTES_SCHEMA, OUTPUT_SCHEMA


@Language.component("test_fails_on_boom")
def fails_on_boom(doc: Doc) -> Doc:
    """Raise where the note holds BOOM, with the note in the message, as careless components do."""
    if "BOOM" in doc.text:
        raise KeyError(doc.text)
    if "EXIT" in doc.text:
        sys.exit()
    return doc


class LowerCaser(Tokenizer):
    """A tokenizer that does not keep the text."""

    def __call__(self, text: str) -> Doc:
        return super().__call__(text.lower())


@spacy.registry.tokenizers("test_lower_caser")
def make_lower_caser():
    return lambda nlp: LowerCaser(nlp.vocab)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_ruler(tmp_path_factory.mktemp("model"), "test_fails_on_boom")


def run(model: str, texts: list, batch_size: int = 3, given_size: int = 5) -> list:
    notes = [Note(str(number), text) for number, text in enumerate(texts)]
    batches = list(annotate_batches(note_batches(notes, given_size), model, batch_size))
    assert all(batch.schema == OUTPUT_SCHEMA and 0 < batch.num_rows <= batch_size for batch in batches)
    return [row for batch in batches for row in batch.to_pylist()]


def test_a_row_says_what_the_pipeline_found(model: str) -> None:
    assert run(model, ["Took aspirin.  For chest pain."]) == [
        {
            "note_id": "0",
            "sections": [],
            "sentences": [{"start": 0, "end": 14}, {"start": 14, "end": 30}],
            "entities": [
                {"start": 5, "end": 12, "label": "DRUG", "score": None, "section": None},
                {"start": 19, "end": 29, "label": "PROBLEM", "score": None, "section": None},
            ],
            "dropped": 0,
            "rejected": None,
        }
    ]


def test_sections_and_scores_are_written(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    for name in ("clinbert_sections", "clinbert_sentences", "entity_ruler", "test_scores"):
        nlp.add_pipe(name)
    nlp.get_pipe("entity_ruler").add_patterns([{"label": "DRUG", "pattern": "aspirin"}])
    nlp.to_disk(tmp_path)
    text = "seen today\n\nAllergies:\naspirin\n\nPlan:\nstop aspirin\n"
    (row,) = run(str(tmp_path), [text])
    assert row["sections"] == [
        {"start": 0, "end": 12, "title": None, "category": None, "level": 1},
        {"start": 12, "end": 32, "title": "Allergies", "category": "allergies", "level": 1},
        {"start": 32, "end": 51, "title": "Plan", "category": "plan", "level": 1},
    ]
    assert [sentence["start"] for sentence in row["sentences"]] == [0, 12, 23, 32, 38]
    assert [(text[e["start"] : e["end"]], e["score"], e["section"]) for e in row["entities"]] == [
        ("aspirin", 0.75, "allergies"),
        ("aspirin", 0.75, "plan"),
    ]


@pytest.fixture(scope="module")
def splitter(tmp_path_factory: pytest.TempPathFactory) -> str:
    nlp = spacy.blank("en")
    for name in ("clinbert_sections", "clinbert_sentences"):
        nlp.add_pipe(name)
    folder = tmp_path_factory.mktemp("splitter")
    nlp.to_disk(folder)
    return str(folder)


PARTS = st.sampled_from(
    ["Plan: ", "Seen today. ", "No fever.", "\n", "\n\nAllergies:", "  ", "é", "___", " [**x y**] "]
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(PARTS, min_size=1, max_size=9).map("".join))
@example("Seen today. No fever.")
def test_sections_and_sentences_tile_the_note(splitter: str, text: str) -> None:
    (row,) = run(splitter, [text])
    for spans in (row["sections"], row["sentences"]):
        assert [span["start"] for span in spans] == [0, *(span["end"] for span in spans[:-1])]
        assert spans[-1]["end"] == len(text)
    assert {span["start"] for span in row["sections"]} <= {span["start"] for span in row["sentences"]}


def test_sections_without_a_token_are_counted(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.tokenizer = Tokenizer(nlp.vocab)
    nlp.add_pipe("clinbert_sections")
    nlp.to_disk(tmp_path)
    (row,) = run(str(tmp_path), ["EXAM,GENERAL,VITALS: stable"])
    assert (len(row["sections"]), row["dropped"]) == (1, 2)


@Language.component("test_scores")
def scores(doc: Doc) -> Doc:
    """Give each entity a score where `clinbert_ner` leaves it."""
    doc.spans["clinbert_ner"] = list(doc.ents)
    doc.spans["clinbert_ner"].attrs["scores"] = [0.75] * len(doc.ents)
    return doc


def test_a_failing_note_is_rejected_alone_and_not_quoted(model: str) -> None:
    rows = run(model, ["aspirin", "BOOM secret", "aspirin", "", "BOOM", "EXIT"], batch_size=4)
    assert [row["rejected"] is None for row in rows] == [True, False, True, True, False, False]
    assert [len(row["entities"] or ()) for row in rows] == [1, 0, 1, 0, 0, 0]
    assert rows[5]["rejected"].startswith("SystemExit in test_annotate_batches.py")
    assert rows[1]["rejected"].startswith("KeyError in test_annotate_batches.py, line ")
    assert "secret" not in str(rows)


def test_a_null_text_is_rejected(model: str) -> None:
    batch = pa.RecordBatch.from_pylist([{"note_id": "1"}, {"note_id": "2", "text": "aspirin"}], NOTES_SCHEMA)
    rows = pa.Table.from_batches(annotate_batches([batch], model)).to_pylist()
    assert rows[0]["rejected"] and not rows[1]["rejected"]


def test_a_tokenizer_that_changes_the_text_gives_no_offsets(tmp_path: Path) -> None:
    spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "test_lower_caser"}}}).to_disk(tmp_path)
    rows = run(str(tmp_path), ["Seen Today", "seen today"])
    assert rows[0]["rejected"].startswith("ValueError in annotate.py, line ")
    assert rows[1]["rejected"] is None


def test_a_pipeline_without_sentences_gives_none(tmp_path: Path) -> None:
    spacy.blank("en").to_disk(tmp_path)
    assert [row["sentences"] for row in run(str(tmp_path), ["Two words. And more."])] == [[]]


def test_a_note_above_spacys_limit(model: str) -> None:
    text = "word " * 210_000 + "aspirin"
    (row,) = run(model, [text])
    assert [(text[e["start"] : e["end"]], e["start"]) for e in row["entities"]] == [("aspirin", 1_050_000)]


WORDS = st.sampled_from(["aspirin", "chest pain", "BOOM", ".", "\n", "  ", "é", "🙂", "___", "word"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(WORDS, max_size=8).map(" ".join), max_size=9), st.integers(1, 5), st.integers(1, 5))
def test_batch_sizes_change_nothing(model: str, texts: list, batch_size: int, given_size: int) -> None:
    rows = run(model, texts, batch_size, given_size)
    assert rows == run(model, texts, 100, 100)
    assert [row["note_id"] for row in rows] == [str(number) for number in range(len(texts))]
    for text, row in zip(texts, rows, strict=True):
        assert (row["rejected"] is not None) == ("BOOM" in text)
        for entity in row["entities"] or ():
            assert text[entity["start"] : entity["end"]] in ("aspirin", "chest pain")


def test_the_pipeline_is_loaded_once(model: str) -> None:
    assert load_pipeline(model) is load_pipeline(model)


def test_the_vocabulary_does_not_grow_with_the_notes(model: str) -> None:
    run(model, ["warm-up"])
    before = len(load_pipeline(model).vocab.strings)
    run(model, [f"word{number} new{number}" for number in range(200)])
    assert len(load_pipeline(model).vocab.strings) == before


def test_a_pipeline_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=r"nothing_here cannot be loaded .*give the folder of a saved"):
        next(annotate_batches([], str(tmp_path / "nothing_here")))


@pytest.mark.parametrize(
    ("fault", "message"),
    [("import nothing_here", "No module named 'nothing_here'"), ("raise KeyError('secret')", "(KeyError)")],
)
def test_a_pipeline_that_is_damaged_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, message: str
) -> None:
    package = tmp_path / "xx_damaged"
    package.mkdir()
    (package / "__init__.py").write_text(f"def load(**overrides):\n    {fault}\n")
    information = tmp_path / "xx_damaged-0.0.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: xx_damaged\nVersion: 0.0.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "xx_damaged", raising=False)
    with pytest.raises(ClinbertError, match="xx_damaged cannot be loaded") as raised:
        next(annotate_batches([], "xx_damaged"))
    assert message in str(raised.value) and "secret" not in str(raised.value)
