"""The pool of random second segments: what it samples, what it draws, and that no order of work changes it."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segment_corpus import FIRST, number_pieces, random_corpus

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.pretraining.chance import name_keys
from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.pretraining.pool import Pool, candidates, merge, owner_keys

CORPUS = random_corpus(60)
SEGMENTS = sum(bool(segment) for row in CORPUS.rows for segment in row["pieces"])


def pool_of(corpus, **values):
    chosen = ExportSettings(**values)
    return merge([candidates(corpus.batch(), chosen)], chosen)


def draws(pool, count, note="none of them", patient="", seed=0):
    """Pieces of drawn seconds, each with 40 pieces wanted."""
    keys = name_keys(map(str, range(count)), seed)
    notes = np.repeat(name_keys([note], ExportSettings().seed), count)
    patients = np.repeat(name_keys([patient], ExportSettings().seed) * np.uint64(bool(patient)), count)
    drawn = pool.draw(keys, notes, patients)
    starts, lengths = pool.spans(drawn, np.full(count, 40))
    return [pool.pieces[start : start + length].tolist() for start, length in zip(starts, lengths)]


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.sampled_from([1, 7, 50, 10_000]), st.sampled_from(["note", "section"]))
def test_the_same_pool_whatever_the_order_and_the_batches(tmp_path_factory, rng, size, document):
    chosen = ExportSettings(pool=size, document=document)
    folder = tmp_path_factory.mktemp("pool")
    rows = list(range(60))
    rng.shuffle(rows)
    cuts = sorted(rng.sample(range(1, 60), rng.randint(0, 20)))
    parts = [rows[start:end] for start, end in zip([0, *cuts], [*cuts, 60])]
    pool = merge((candidates(CORPUS.batch().take(part), chosen) for part in parts), chosen)
    pool.save(folder / "shuffled")
    merge([candidates(CORPUS.batch(), chosen)], chosen).save(folder / "whole")
    assert (folder / "shuffled").read_bytes() == (folder / "whole").read_bytes()
    assert len(pool) == min(size, SEGMENTS)


def test_other_seeds_sample_other_segments():
    assert pool_of(CORPUS, pool=50).pieces.tolist() != pool_of(CORPUS, pool=50, seed=1).pieces.tolist()


@pytest.mark.parametrize("document", ["note", "section"])
@pytest.mark.parametrize("wanted", [-20, 1, 30, 124])
def test_a_second_is_whole_segments_of_its_document_until_the_pieces_are_there(document, wanted):
    pool = pool_of(CORPUS, document=document)
    starts, lengths = pool.spans(np.arange(len(pool)), np.full(len(pool), wanted))
    begun = set()
    for start, length in zip(starts, lengths):
        first = int(pool.pieces[start])
        note, number, section = CORPUS.origin[first]
        expected: list[int] = []
        for row_number, segment in enumerate(CORPUS.rows[note]["pieces"]):
            inside = segment and (document == "note" or CORPUS.origin[segment[0]][2] == section)
            if inside and row_number >= number and (not expected or len(expected) < wanted):
                expected += segment
        assert pool.pieces[start : start + length].tolist() == expected
        begun.add((note, number))
    assert len(begun) == len(pool) == SEGMENTS


def test_a_pool_of_the_whole_corpus_draws_documents_evenly_and_then_segments_evenly():
    corpus = number_pieces([[5] * size for size in (1, 2, 3, 40, 200)], [""] * 5)
    begun = Counter(corpus.origin[second[0]][:2] for second in draws(pool_of(corpus), 30_000))
    for note, row in enumerate(corpus.rows):
        shares = [begun[note, number] / 30_000 for number in range(len(row["pieces"]))]
        assert sum(shares) == pytest.approx(0.2, abs=0.01)
        assert max(shares) < 0.2 / len(shares) * 1.3 + 0.002


def test_a_sample_stands_for_the_corpus_without_preferring_long_documents():
    rng = random.Random(0)
    sizes = [rng.choice([2, 5, 20, 100]) for _ in range(1200)]
    corpus = number_pieces([[3] * size for size in sizes], [""] * len(sizes))
    pool = pool_of(corpus, pool=2000)
    assert len(pool) == 2000 < sum(sizes) / 10
    drawn = Counter(sizes[corpus.origin[second[0]][0]] for second in draws(pool, 30_000))
    for size, count in Counter(sizes).items():
        assert drawn[size] / 30_000 == pytest.approx(count / len(sizes), abs=0.03)


def test_no_second_is_of_the_same_note_or_patient():
    pool = pool_of(CORPUS)
    for note in range(0, 60, 5):
        row = CORPUS.rows[note]
        for second in draws(pool, 300, row["note_id"], row["patient"]):
            other = CORPUS.rows[CORPUS.origin[second[0]][0]]
            assert other["note_id"] != row["note_id"]
            assert not row["patient"] or other["patient"] != row["patient"]


def test_notes_without_a_patient_are_not_of_one_patient():
    corpus = number_pieces([[5], [5]], ["", ""])
    assert draws(pool_of(corpus), 3, "note 0") == [corpus.rows[1]["pieces"][0]] * 3


def test_one_small_other_note_is_found_among_thousands_of_segments():
    corpus = number_pieces([[1]] * 3000 + [[4]], ["p"] * 3000 + ["q"])
    assert draws(pool_of(corpus), 50, "note 5", "p") == [corpus.rows[-1]["pieces"][0]] * 50


@pytest.mark.parametrize(("notes", "patients"), [([[3, 4, 5]], [""]), ([[3], [4], [5]], ["p", "p", "p"])])
def test_a_corpus_of_one_note_or_patient_is_refused(notes, patients):
    pool = pool_of(number_pieces(notes, patients))
    with pytest.raises(ClinbertError, match="another note and another patient"):
        draws(pool, 2, "note 0", patients[0])


@pytest.mark.parametrize("notes", [[], [[]], [[0, 0], [0]]])
def test_a_corpus_without_a_wordpiece_is_refused(notes):
    with pytest.raises(ClinbertError, match="no note"):
        pool_of(number_pieces(notes, [""] * len(notes)))


def test_a_saved_pool_draws_the_same(tmp_path):
    pool = pool_of(CORPUS, pool=100)
    pool.save(tmp_path / "pool.arrow")
    loaded = Pool.load(tmp_path / "pool.arrow")
    assert len(loaded) == 100 and draws(loaded, 200, "note 1", "p0") == draws(pool, 200, "note 1", "p0")


def test_runs_are_no_longer_than_a_pair_can_need():
    corpus = number_pieces([[10] * 100], [""])
    _, lengths = (pool := pool_of(corpus, length=64)).spans(np.arange(len(pool)), np.full(len(pool), 10**6))
    assert lengths.max() == 60 and pool.pieces.min() == FIRST


def test_owners_of_the_same_name_have_the_same_keys_in_any_batch():
    notes, patients = owner_keys(CORPUS.batch(), 5)
    some_notes, some_patients = owner_keys(CORPUS.batch(slice(20, 30)), 5)
    assert (notes[20:30] == some_notes).all() and (patients[20:30] == some_patients).all()
    assert patients[0] == 0 and len(set(notes)) == 60
