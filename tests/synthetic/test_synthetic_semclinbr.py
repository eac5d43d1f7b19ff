from itertools import pairwise
from pathlib import Path

from spacy_clinbert.corpora import semclinbr
from spacy_clinbert.corpora.umls_groups import GROUPS
from spacy_clinbert.synthetic.semclinbr import make_record, write_semclinbr

NOTES = [make_record(number, seed=5) for number in range(1, 241)]


def strings(split: str) -> set:
    return {
        (note.record.text[start:end].lower(), mention.label)
        for note in NOTES
        if note.split == split
        for mention in note.record.mentions
        for start, end in mention.fragments
    }


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_semclinbr(tmp_path, iter(NOTES))
    entries = list(semclinbr.entries(tmp_path))
    read = {entry.id: entry.load() for entry in entries}
    assert set(read) == {f"{note.split}/{note.record.id}" for note in NOTES}
    assert all(entry.split == entry.id.partition("/")[0] for entry in entries)
    for note in NOTES:
        again = read[f"{note.split}/{note.record.id}"]
        assert again.text == note.record.text
        assert again.mentions == note.record.mentions
        assert again.relations == note.record.relations
    doubts = [doubt.reason.partition(":")[0] for record in read.values() for doubt in record.doubts]
    assert 0.003 < doubts.count("moved to where its string stands") / sum(len(one.annotations) for one in NOTES) < 0.02
    assert set(doubts) == {"moved to where its string stands", "left out"}


def test_every_trap_of_the_format_occurs() -> None:
    texts = [(note.record.text, one) for note in NOTES for one in note.annotations]
    assert {"\r\n" in note.record.text for note in NOTES} == {True, False}
    # Offsets that count two characters for a line end of one, and one for a line end of two.
    last = [(note.record.text, max(one.end for one in note.annotations)) for note in NOTES]
    assert any("\r" not in text and end > len(text) for text, end in last)
    assert any(text[one.start : one.end] == one.text and "\r\n" in text[: one.start] for text, one in texts)
    assert any(" , " in one.text for _, one in texts)
    assert any("&lt;" in one.text for _, one in texts) and any("<" in one.text for _, one in texts)
    assert any(len(one.types) > 1 and "Abbreviation" not in one.types for _, one in texts)
    assert all(bool(one.abbr) == ("Abbreviation" in one.types) for _, one in texts)
    spans = [sorted({one.fragments[0] for one in note.record.mentions}) for note in NOTES]
    assert any(b[1] <= a[1] for of_note in spans for a, b in pairwise(of_note))  # nested
    assert {one.label for note in NOTES for one in note.record.relations} == {"negation_of", "associated_with"}
    assert any(note.record.text.isupper() for note in NOTES) and any(note.record.text.islower() for note in NOTES)


def test_each_group_has_mentions() -> None:
    labels = [mention.label for note in NOTES for mention in note.record.mentions]
    assert all(sum(label in types for label in labels) > 20 for types in GROUPS.values())


def test_relations_say_what_the_text_says() -> None:
    for note in NOTES:
        for head, tail, label in note.record.relations:
            mentions = note.record.mentions
            assert mentions[head].fragments[0][1] <= mentions[tail].fragments[0][0]
            assert (label == "negation_of") == (mentions[head].label == "Negation")


def test_test_split_is_neither_known_nor_foreign() -> None:
    train, test = strings("train"), strings("test")
    assert 0.3 < len(test - train) / len(test) < 0.8


def test_notes_do_not_depend_on_their_number_and_seeds_differ() -> None:
    assert make_record(7, 5) == NOTES[6]
    assert make_record(7, 6).record.text != NOTES[6].record.text
