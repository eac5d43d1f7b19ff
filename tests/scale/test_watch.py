"""The journal of a part: which notes are handed out, alone or together, after processes have ended."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora.notes import Note
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.scale.batches import note_batches
from spacy_clinbert.scale.watch import TRIES, Watch, forgive


class Ended(Exception):
    """Stands for a killed process."""


def attempt(journal, count, poison, batch_size=3, given_size=5):
    """One process that works through a part until a poison note ends it; gives what it annotated and rejected."""
    notes = [Note(str(number), "text") for number in range(count)]
    seen, rejected, entry = [], [], b""
    try:
        with Watch(journal).over(note_batches(notes, given_size), batch_size, rejected.append) as batches:
            for batch in batches:
                ids = batch["note_id"].to_pylist()
                if poison & set(ids):
                    entry = journal.read_bytes()
                    raise Ended
                seen.append(ids)
    except Ended:
        # A killed process leaves the journal as it was.
        journal.write_bytes(entry)
        raise
    return seen, rejected


def until_done(journal, count, poison, **sizes):
    for ended in range(1000):
        try:
            return ended, *attempt(journal, count, poison, **sizes)
        except Ended:
            continue
    raise AssertionError("never done")


@settings(max_examples=40)
@given(st.integers(1, 14), st.data(), st.integers(1, 4), st.integers(1, 6))
def test_exactly_the_poison_is_rejected(tmp_path_factory, count, data, batch_size, given_size):
    poison = data.draw(st.sets(st.integers(0, count - 1).map(str), max_size=4))
    journal = tmp_path_factory.mktemp("watch") / "journal"
    ended, seen, rejected = until_done(journal, count, poison, batch_size=batch_size, given_size=given_size)
    assert [note_id for ids in seen for note_id in ids] == [str(n) for n in range(count) if str(n) not in poison]
    assert {row.note_id for row in rejected} == poison
    assert ended <= TRIES * len(poison)
    assert max(len(ids) for ids in [[], *seen]) <= batch_size


def test_notes_that_were_under_way_go_alone_and_the_others_together(tmp_path):
    ended, seen, rejected = until_done(tmp_path / "journal", 9, {"4"})
    assert seen == [["0", "1", "2"], ["3"], ["5", "6", "7"], ["8"]]
    assert ended == TRIES and "ended 3 processes that worked at it" in rejected[0].reason


def test_an_error_is_no_end(tmp_path):
    for _ in range(2 * TRIES):
        watch = Watch(tmp_path / "journal")
        with (
            pytest.raises(ClinbertError, match="elsewhere"),
            watch.over(note_batches([Note("1", "text")], 1), 1, lambda rejected: None) as notes,
        ):
            next(notes)
            raise ClinbertError("elsewhere")
    assert attempt(tmp_path / "journal", 2, set()) == ([["0", "1"]], [])


def test_a_pipeline_that_cannot_be_loaded_ends_it(tmp_path):
    journal = tmp_path / "journal"
    for _ in range(TRIES):
        with Watch(journal).over([], 1, lambda rejected: None):
            entry = journal.read_bytes()
        journal.write_bytes(entry)
    with pytest.raises(ClinbertError, match="while the pipeline was loaded"):
        Watch(journal)
    # Run again, with fewer workers as the error says, it has its tries again.
    assert attempt(journal, 2, set()) == ([["0", "1"]], [])


def test_notes_are_not_blamed_for_what_ends_while_the_next_are_read(tmp_path):
    journal, rejected, seen = tmp_path / "journal", [], []

    def breaks_off():
        yield from note_batches([Note(str(number), "text") for number in range(3)], 3)
        seen.append(journal.read_bytes())
        raise Ended

    for _ in range(TRIES):
        with pytest.raises(Ended), Watch(journal).over(breaks_off(), 3, rejected.append) as batches:
            list(batches)
        journal.write_bytes(seen[-1])
    with pytest.raises(ClinbertError, match="or notes were read"):
        Watch(journal)
    assert attempt(journal, 3, set()) == ([["0", "1", "2"]], []) and not rejected


def test_what_the_job_itself_ends_is_forgiven_and_earlier_ends_are_not(tmp_path):
    journal = tmp_path / "part.journal"
    with pytest.raises(Ended):
        attempt(journal, 4, {"1"})
    for _ in range(2 * TRIES):
        with pytest.raises(Ended):
            attempt(journal, 4, {"1"})
        forgive(tmp_path)
    # Alone, since the first end counts: it is no longer handed out with those beside it.
    assert attempt(journal, 4, set()) == ([["0"], ["1"], ["2"], ["3"]], [])


def test_a_torn_journal_is_none(tmp_path):
    (tmp_path / "journal").write_text('{"ended": {"0"')
    assert attempt(tmp_path / "journal", 2, set()) == ([["0", "1"]], [])
