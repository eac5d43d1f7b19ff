import csv
import gzip
import io
import json
import re
import tracemalloc
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.synthetic.grammar import Phrase, Span
from spacy_clinbert.synthetic.layout import WIDTH, lay_out
from spacy_clinbert.synthetic.noteevents import COLUMNS, GOLD, NOTES, make_note, write_noteevents
from spacy_clinbert.synthetic.outline import Block, Item, note_kinds

ROOT = Path(__file__).resolve().parents[2]
NOTES_CHECKED = [make_note(number, seed=3) for number in range(1, 301)]
TEXTS = [note.text for _, note in NOTES_CHECKED]


def write(folder: Path, notes: int, seed: int = 0) -> Path:
    folder.mkdir()
    write_noteevents(folder, (make_note(number, seed) for number in range(1, notes + 1)))
    return folder


def lengths(spans: list, text: str) -> bool:
    """Whether spans tile a text."""
    bounds = [(span[0], span[1]) for span in spans]
    return bounds[0][0] == 0 and bounds[-1][1] == len(text) and all(a[1] == b[0] for a, b in pairwise(bounds))


def test_gold_tiles_the_text_and_starts_at_words() -> None:
    for _, note in NOTES_CHECKED:
        assert lengths(note.sections, note.text)
        assert lengths(note.sentences, note.text)
        starts = {start for start, _ in note.sentences}
        for section in note.sections:
            assert section.start in starts
            assert section.start == 0 or not note.text[section.start].isspace()
            assert note.text[section.title_start : section.title_end] == section.title
            assert section.start <= section.title_start <= section.title_end <= section.end
            marker = note.text[section.start : section.title_start].strip()
            assert re.fullmatch(r"#|\d+\.|", marker)
        for start, end in note.sentences:
            assert note.text[start:end].strip()
            assert start == 0 or not note.text[start].isspace()


def test_concepts_and_placeholders_are_where_they_are_said_to_be() -> None:
    for _, note in NOTES_CHECKED:
        found = [match.span() for match in re.finditer(r"\[\*\*.*?\*\*\]", note.text, re.DOTALL)]
        assert [(start, end) for start, end, _ in note.placeholders] == found
        for start, end, label in note.concepts:
            assert label in {"problem", "treatment", "test"}
            inside = note.text[start:end]
            assert inside == inside.strip() and "\n\n" not in inside
            sentence = [at for at in note.sentences if at[0] <= start and end <= at[1]]
            assert len(sentence) == 1


def test_lines_are_broken_at_the_width_of_the_page() -> None:
    lengths_seen = Counter(len(line) for text in TEXTS for line in text.split("\n") if not line.startswith("___"))
    # Only two dates on a line, which blanks keep apart, may stick out by a little.
    assert max(lengths_seen) <= WIDTH + 5
    assert any("[**" in line and "**]" not in line.rpartition("[**")[2] for text in TEXTS for line in text.split("\n"))


@pytest.mark.parametrize(
    "trap",
    [
        r"^Admission Date: .*\[\*\*.*Discharge Date:",
        r"^# ?\w+.*:",
        r"^\d+\. \S.* Sig: ",
        r"^Disp:\*",
        r"^_{70,}$",
        r"^ {30,}FINAL REPORT$",
        r"^Neuro: ",
        r"^[A-Z ]{8,}$",
        r"^CXR: ",
    ],
)
def test_layout_of_mimic_occurs(trap: str) -> None:
    assert any(re.search(trap, text, re.MULTILINE) for text in TEXTS)


def test_categories_are_those_of_the_guideline() -> None:
    guideline = (ROOT / "benchmarks/gold/README.md").read_text(encoding="utf-8").partition("## Categories")[2]
    known = set(re.findall(r"[a-z_]+", re.sub(r"\(.*?\)", "", guideline)))
    used = {section.category for _, note in NOTES_CHECKED for section in note.sections if section.title}
    assert used <= known and len(used) > 30
    assert all(not section.title for _, note in NOTES_CHECKED for section in note.sections if not section.category)


def test_same_seed_same_bytes_and_notes_do_not_depend_on_their_number(tmp_path: Path) -> None:
    first, again, longer = (write(tmp_path / name, number) for name, number in (("a", 20), ("b", 20), ("c", 30)))
    other = write(tmp_path / "d", 20, seed=1)
    for name in (NOTES, GOLD):
        assert (first / name).read_bytes() == (again / name).read_bytes() != (other / name).read_bytes()
    rows, more = (gzip.decompress((folder / NOTES).read_bytes()) for folder in (first, longer))
    assert more.startswith(rows)
    assert (longer / GOLD).read_bytes().startswith((first / GOLD).read_bytes())


def test_files_hold_the_notes(tmp_path: Path) -> None:
    folder = write(tmp_path / "notes", 60)
    with gzip.open(folder / NOTES, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    gold = [json.loads(line) for line in (folder / GOLD).read_text(encoding="utf-8").splitlines()]
    assert [int(row["ROW_ID"]) for row in rows] == [one["note_id"] for one in gold] == list(range(1, 61))
    for row, one in zip(rows, gold, strict=True):
        assert lengths([(at["start"], at["end"]) for at in one["sections"]], row["TEXT"])
        assert lengths(one["sentences"], row["TEXT"])
        assert bool(row["CHARTTIME"]) or row["CATEGORY"] in ("Discharge summary", "ECG", "Echo")
    assert {row["CATEGORY"] for row in rows} == {
        kind["category"] for kind in note_kinds().values()
    } and "Physician " in {row["CATEGORY"] for row in rows}


@pytest.mark.external
def test_quoting_is_that_of_the_sample(shared: Path, tmp_path: Path) -> None:
    sample = (shared / "data/formats/mimic3_notes/NOTEEVENTS.csv").read_text(encoding="utf-8")
    ours = gzip.decompress((write(tmp_path / "notes", 40) / NOTES).read_bytes()).decode("utf-8")
    assert ours.split("\n")[0] == sample.split("\n")[0]

    def forms(text: str) -> set:
        heads = re.findall(r'^(\d+,\d+,\d+,(?:"[^"\n]*",){5}(?:\d+|""),"",)"', text, re.MULTILINE)
        return {re.sub(r'"[^"]*"', "quoted", re.sub(r"\b\d+,", "bare,", head)) for head in heads}

    assert forms(sample) == forms(ours)
    assert len(list(csv.reader(io.StringIO(ours)))) == 41
    assert list(COLUMNS) == next(csv.reader(io.StringIO(sample)))


def test_memory_does_not_grow_with_the_number_of_notes(tmp_path: Path) -> None:
    peaks = []
    for notes in (40, 200):
        tracemalloc.start()
        write(tmp_path / str(notes), notes)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


words = st.text("ab,.", min_size=1, max_size=12)


@settings(max_examples=60)
@given(
    st.lists(st.lists(words, min_size=1, max_size=40), min_size=1, max_size=4),
    st.integers(0, 9),
    st.booleans(),
    st.booleans(),
)
def test_breaking_lines_keeps_words_and_offsets(sentences: list, indent: int, flow: bool, titled: bool) -> None:
    items = []
    for sentence in sentences:
        text = " ".join(sentence)
        items.append(Item("- ", Phrase(text, (Span(0, len(sentence[0]), "test"), Span(0, len(text), "problem")))))
    note = lay_out([Block(Phrase("Plan") if titled else None, "plan", tuple(items), flow=flow, indent=indent)])
    assert note.text.split() == [*(["Plan:"] if titled else []), *(w for s in sentences for w in ["-", *s])]
    stretches = [note.text[start:end].split() for start, end, _ in note.concepts]
    assert stretches == [part for sentence in sentences for part in ([sentence[0]], sentence)]
    assert lengths(note.sentences, note.text) and len(note.sentences) == len(sentences)
    assert all(len(line) <= WIDTH for line in note.text.split("\n"))
