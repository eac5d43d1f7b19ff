"""Rules in processes of their own: the same annotations, whatever the rules fail on or end at."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spacy
from deadly_pipeline import install_deadly
from tiny_models import write_ner

from spacy_clinbert.corpora.notes import Note
from spacy_clinbert.scale.annotate import PREPARED, annotate_batches, load_pipeline, rule_names
from spacy_clinbert.scale.annotate_folder import annotate_folder
from spacy_clinbert.scale.annotations import REJECTED
from spacy_clinbert.scale.batches import note_batches
from spacy_clinbert.scale.feeder import feed
from spacy_clinbert.synthetic.noteevents import make_note

pytestmark = pytest.mark.slow


def test_the_rules_are_what_stands_before_the_first_model():
    nlp = spacy.blank("en")
    assert rule_names(nlp) == []
    for name in ("clinbert_sections", "sentencizer", "tagger", "entity_ruler"):
        nlp.add_pipe(name)
    assert rule_names(nlp) == ["clinbert_sections", "sentencizer"]


def test_fed_notes_get_the_annotations_of_others(tiny_bert, tmp_path):
    model = write_ner(tmp_path / "model", tiny_bert)
    assert rule_names(load_pipeline(model)) == ["clinbert_sections", "clinbert_sentences"]
    notes = [Note(str(number), make_note(number, 0)[1].text) for number in range(1, 25)] + [Note("empty", "")]
    fed = list(feed(note_batches(notes, 7), model, 1, 4))
    assert all(batch.num_rows <= 4 and batch[PREPARED].null_count == 0 for batch in fed)
    expected = pa.Table.from_batches(annotate_batches(note_batches(notes, 7), model)).to_pylist()
    found = pa.Table.from_batches(annotate_batches(fed, model)).to_pylist()
    assert len(found) == len(expected) and any(row["entities"] for row in found)
    for mine, theirs in zip(found, expected, strict=True):
        scores = [[entity.pop("score") for entity in row["entities"]] for row in (mine, theirs)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-4)
        assert mine == theirs and bool(mine["sections"]) == (mine["note_id"] != "empty")


def test_notes_that_fail_or_end_the_rules_are_rejected(tmp_path, monkeypatch):
    """All of this pipeline is rules: what ends a feeder ends the process of the part, too."""
    model = install_deadly(tmp_path / "site", monkeypatch)
    lines = [f'{n},"Took aspirin. {"FAILS" if n == 3 else "POISON" if n == 6 else ""}"\n' for n in range(12)]
    (tmp_path / "notes.csv").write_text("note_id,text\n" + "".join(lines))
    out = tmp_path / "out"
    annotate_folder(str(tmp_path / "notes.csv"), str(out), model, batch_size=2, workers=2, feeders=1)
    plain = [Note(str(n), "Took aspirin. ") for n in range(12) if n not in (3, 6)]
    for mine, theirs in zip(
        pq.read_table(out).to_pylist(),
        pa.Table.from_batches(annotate_batches(note_batches(plain, 2), model)).to_pylist(),
        strict=True,
    ):
        assert mine.items() <= theirs.items() and mine["entities"]
    rejected = {row["note_id"]: row["reason"] for row in map(json.loads, (out / REJECTED).open(encoding="utf-8"))}
    assert rejected["3"].startswith("RuntimeError in deadly_pipeline.py") and len(rejected) == 2
    assert rejected["6"].startswith("the system ended 3 processes that worked at it")
