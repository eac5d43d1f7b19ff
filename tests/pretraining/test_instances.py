"""Examples: each is what Google's algorithm may give, and many of them are spread as it spreads them."""

import importlib.util
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segment_corpus import number_pieces, random_corpus
from transformers import AutoTokenizer

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.pretraining.documents import read_documents
from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.pretraining.instances import instance_batches
from spacy_clinbert.pretraining.pairs import make_pairs
from spacy_clinbert.pretraining.pieces import piece_ids
from spacy_clinbert.pretraining.pool import candidates, merge
from spacy_clinbert.pretraining.schemas import INSTANCES, SEGMENTS

_SPEC = importlib.util.spec_from_file_location(
    "bert_reference", Path(__file__).resolve().parents[2] / "benchmarks" / "bert_reference.py"
)
reference = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(reference)

CORPUS = random_corpus(60)


def instances(corpus, batches=None, **values):
    """The examples of a corpus as dicts, masks undone in "originals"."""
    chosen = ExportSettings(**values)
    batches = batches or [corpus.batch()]
    pool = merge((candidates(batch, chosen) for batch in batches), chosen)
    rows = []
    for batch in instance_batches(batches, pool, chosen, corpus.ids):
        assert batch.schema == INSTANCES
        batch.validate(full=True)
        rows += batch.to_pylist()
    for row in rows:
        row["originals"] = list(row["input_ids"])
        for position, piece in zip(row["masked_lm_positions"], row["masked_lm_ids"], strict=True):
            row["originals"][position] = piece
    return rows


def contents(rows):
    return sorted(str(row) for row in rows)


def runs(row):
    """The two runs of an example, masks undone."""
    split = row["token_type_ids"].index(1)
    return row["originals"][1 : split - 1], row["originals"][split:-1]


def is_run(pieces, corpus, document):
    """Whether wordpieces follow each other in one document."""
    places = {corpus.origin[piece][:: 2 if document == "section" else 3] for piece in pieces}
    return len(places) == 1 and pieces == list(range(pieces[0], pieces[0] + len(pieces)))


@settings(max_examples=12)
@given(
    seed=st.integers(0, 2**40),
    length=st.sampled_from([8, 9, 32, 128, 256]),
    document=st.sampled_from(["note", "section"]),
    whole_word=st.booleans(),
    longest=st.sampled_from([3, 40, 300]),
)
def test_each_example_is_one_of_the_algorithm(seed, length, document, whole_word, longest):
    corpus = random_corpus(25, seed, longest)
    rows = instances(corpus, seed=seed, length=length, document=document, whole_word=whole_word, dupe=2)
    notes = {row["note_id"]: row for row in corpus.rows}
    assert {row["note_id"] for row in rows} == {name for name, note in notes.items() if any(note["pieces"])}
    for row in rows:
        ids, originals, note = row["input_ids"], row["originals"], notes[row["note_id"]]
        first, second = runs(row)
        assert len(ids) == len(row["token_type_ids"]) <= length and first and second
        assert [originals[0], originals[len(first) + 1], originals[-1]] == [2, 3, 3]
        assert row["token_type_ids"] == [0] * (len(first) + 2) + [1] * (len(second) + 1)

        assert is_run(first, corpus, document) and is_run(second, corpus, document)
        ours, theirs = (corpus.rows[corpus.origin[run[0]][0]] for run in (first, second))
        assert ours is note
        if row["next_sentence_label"]:
            assert theirs is not note and (not note["patient"] or theirs["patient"] != note["patient"])
        else:
            assert theirs is note and second[0] > first[-1]
            assert corpus.origin[second[0]][1] > corpus.origin[first[-1]][1]

        wanted = min(20, max(1, round(0.15 * len(ids))))
        free = sum(not corpus.ids.fixed[piece] for piece in originals)
        masked = row["masked_lm_positions"]
        assert masked == sorted(set(masked))
        assert len(masked) <= wanted if whole_word else len(masked) == min(wanted, free)
        assert not corpus.ids.fixed[row["masked_lm_ids"]].any()
        assert not {2, 3} & set(np.delete(ids, [0, len(first) + 1, len(ids) - 1]).tolist())


def test_whole_words_are_masked_whole_and_as_many_as_fit():
    rows = instances(CORPUS, whole_word=True)
    few = 0
    for row in rows:
        originals, masked = row["originals"], set(row["masked_lm_positions"])
        free = ~CORPUS.ids.fixed[originals]
        for position in range(1, len(originals)):
            if free[position] and free[position - 1] and CORPUS.ids.continues[originals[position]]:
                assert (position in masked) == (position - 1 in masked)
        few += len(masked) < min(20, max(1, round(0.15 * len(originals))), free.sum())
    # Words have at most two pieces here: a place is left empty only where one is left for words of two.
    assert few < len(rows) * 0.2


def test_the_section_is_that_of_the_first_run_and_the_sentence_numbers_pass_over_empty_ones():
    for row in instances(CORPUS):
        begun = runs(row)[0][0]
        note, number, section = CORPUS.origin[begun]
        assert row["section"] == f"section {section}" == CORPUS.rows[note]["sections"][number]


def test_the_same_examples_from_any_batches_and_others_from_another_seed():
    batches = [CORPUS.batch(slice(start, start + 7)) for start in range(0, 60, 7)]
    whole = instances(CORPUS)
    assert contents(instances(CORPUS, batches[::-1])) == contents(whole)
    assert instances(CORPUS) == whole
    assert contents(instances(CORPUS, seed=1)) != contents(whole)


def test_the_examples_of_a_batch_are_shuffled():
    notes = [row["note_id"] for row in instances(CORPUS)]
    assert sum(first == second for first, second in pairwise(notes)) < len(notes) * 0.1


def test_copies_have_other_pairs_and_masks():
    rows = instances(CORPUS, dupe=2)
    assert len(set(contents(rows))) == len(rows)
    assert len(contents(rows)) == pytest.approx(2 * len(instances(CORPUS, dupe=1)), rel=0.05)


def test_eighty_ten_ten_and_random_pieces_from_the_whole_vocabulary():
    rows = instances(CORPUS, dupe=20)
    found = [
        (row["input_ids"][position], piece)
        for row in rows
        for position, piece in zip(row["masked_lm_positions"], row["masked_lm_ids"])
    ]
    masks = sum(new == 4 for new, _ in found)
    others = [new for new, old in found if new not in (4, old)]
    assert len(found) > 20_000
    assert masks / len(found) == pytest.approx(0.8, abs=0.01)
    assert len(others) / len(found) == pytest.approx(0.1, abs=0.01)
    words = CORPUS.ids.words
    assert set(others) <= set(words.tolist())
    assert np.histogram(others, bins=5, range=(words[0], words[-1]))[0] / len(others) == pytest.approx(0.2, abs=0.03)


def test_masked_places_are_spread_evenly():
    rows = [row for row in instances(CORPUS, dupe=10) if len(row["input_ids"]) == 128]
    counts = np.bincount([place for row in rows for place in row["masked_lm_positions"]], minlength=128)
    assert counts[0] == counts[127] == 0
    thirds = [part.sum() / counts.sum() for part in np.array_split(counts[1:127], 3)]
    assert thirds == pytest.approx([1 / 3] * 3, abs=0.02)


def of_the_reference(corpus, dupe, **limits):
    ids = corpus.ids
    vocabulary = reference.Vocabulary(ids.cls, ids.sep, ids.mask, ids.words.tolist(), frozenset())
    return reference.create_instances(
        corpus.documents(), dupe, vocabulary, reference.Limits(**limits), random.Random(0)
    )


@pytest.mark.parametrize(("longest", "dupe"), [(6, 150), (40, 60), (200, 20)])
def test_shares_and_lengths_are_those_of_the_reference(longest, dupe):
    corpus = random_corpus(60, longest, longest)
    published = of_the_reference(corpus, dupe)
    ours = instances(corpus, dupe=dupe)
    assert len(ours) == pytest.approx(len(published), rel=0.03)
    figures = [
        (
            np.mean([row["next_sentence_label"] for row in ours]),
            np.mean([example.is_random for example in published]),
            0.01,
        )
    ]
    for ours_is, theirs_is in ((False, False), (True, True)):
        our_rows = [row for row in ours if row["next_sentence_label"] == ours_is]
        their_rows = [example for example in published if example.is_random == theirs_is]
        for our_values, their_values in (
            ([len(row["input_ids"]) for row in our_rows], [len(example.pieces) for example in their_rows]),
            ([sum(row["token_type_ids"]) for row in our_rows], [sum(example.types) for example in their_rows]),
        ):
            figures += [(np.mean(our_values), np.mean(their_values), 2.5)]
            figures += [(np.quantile(our_values, q), np.quantile(their_values, q), 6) for q in (0.05, 0.25, 0.5, 0.75)]
    for our_figure, their_figure, tolerance in figures:
        assert our_figure == pytest.approx(their_figure, abs=tolerance)


def test_half_the_seconds_are_random_where_there_is_a_choice():
    chosen = ExportSettings()
    documents = read_documents(CORPUS.batch(), "note")
    pool = merge([candidates(CORPUS.batch(), chosen)], chosen)
    rng = np.random.default_rng(0)
    none = np.zeros(len(documents.note), dtype=np.uint64)
    random_among_several, single = [], []
    for _ in range(200):
        keys = rng.integers(0, 2**64, len(none), dtype=np.uint64)
        pairs = make_pairs(documents, keys, none, none, pool, chosen)
        random_among_several += pairs.random[pairs.chunk > 1].tolist()
        single += pairs.random[pairs.chunk == 1].tolist()
    assert len(random_among_several) > 40_000
    assert np.mean(random_among_several) == pytest.approx(0.5, abs=0.01)
    assert single and all(single)


@pytest.mark.parametrize("cut", ["first", "second"])
def test_pieces_too_many_are_cut_off_at_both_ends_alike(cut):
    corpus = number_pieces([[500], [10]], ["", ""])
    heads = []
    for row in instances(corpus, dupe=400, short_probability=0):
        if row["note_id"] == ("note 0" if cut == "first" else "note 1"):
            run = runs(row)[cut == "second"]
            assert len(run) == 115
            heads.append(run[0] - corpus.rows[0]["pieces"][0][0])
    # Of 385 pieces cut off, half are at the beginning: a binomial distribution.
    assert np.mean(heads) == pytest.approx(385 / 2, abs=3)
    assert np.std(heads) == pytest.approx(np.sqrt(385) / 2, rel=0.2)


def test_an_example_of_fixed_pieces_alone_has_no_mask():
    corpus = number_pieces([[3], [3]], ["", ""])
    fixed = np.ones_like(corpus.ids.fixed)
    rows = instances(corpus._replace(ids=corpus.ids._replace(fixed=fixed)), dupe=1)
    assert len(rows) == 2 and all(row["masked_lm_positions"] == [] for row in rows)


def test_a_corpus_of_one_patient_is_refused():
    with pytest.raises(ClinbertError, match="another patient"):
        instances(number_pieces([[3, 4], [5]], ["p", "p"]))


def test_no_note_gives_no_example():
    chosen = ExportSettings()
    pool = merge([candidates(CORPUS.batch(), chosen)], chosen)
    empty = [CORPUS.batch(slice(0, 0)), number_pieces([[0, 0]], [""]).batch()]
    assert list(instance_batches(empty, pool, chosen, CORPUS.ids)) == []


SENTENCES = [
    ["the patient was admitted with chest pain .", "[NAME] denies fever , chills .", "aspirin 81 mg given daily ."],
    ["history : hypertension .", "diabetes mellitus type 2 .", "ct scan showed no acute process ."],
    ["plan : discharge home on [DATE] .", "follow up in clinic in 2 weeks ."],
]


@pytest.fixture(scope="module")
def spelled(tiny_bert):
    """A tokenizer with tags, and three notes in its wordpieces."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    tokenizer.add_special_tokens({"additional_special_tokens": ["[NAME]", "[DATE]"]})
    rows = [
        {
            "note_id": str(number),
            "patient": "",
            "category": "",
            "sentences": sentences,
            "pieces": tokenizer(sentences, add_special_tokens=False)["input_ids"],
            "starts": [place == 0 for place in range(len(sentences))],
            "sections": ["plan"] * len(sentences),
        }
        for number, sentences in enumerate(SENTENCES)
    ]
    return tokenizer, pa.RecordBatch.from_pylist(rows, SEGMENTS)


@pytest.mark.parametrize("whole_word", [False, True])
def test_unmasked_pieces_decode_to_the_sentences(spelled, whole_word):
    tokenizer, batch = spelled
    chosen = ExportSettings(length=64, dupe=20, whole_word=whole_word, short_probability=0)
    pool = merge([candidates(batch, chosen)], chosen)
    wholes = [" ".join(note[start:end]) for note in SENTENCES for start in range(3) for end in range(start + 1, 4)]
    rows = [
        row
        for made in instance_batches([batch], pool, chosen, piece_ids(tokenizer))
        for row in made.to_pylist()
        if len(row["input_ids"]) < 64
    ]
    assert len(rows) > 60
    for row in rows:
        ids = np.array(row["input_ids"])
        assert tokenizer.unk_token_id not in ids
        ids[row["masked_lm_positions"]] = row["masked_lm_ids"]
        for run in np.split(ids[1:-1], [row["token_type_ids"].index(1) - 1]):
            words = tokenizer.convert_ids_to_tokens([piece for piece in run if piece != tokenizer.sep_token_id])
            assert " ".join(words).replace(" ##", "") in wholes


def test_the_ids_of_a_tokenizer(spelled):
    tokenizer, _ = spelled
    ids = piece_ids(tokenizer)
    assert (ids.cls, ids.sep, ids.mask) == (2, 3, 4)
    fixed = tokenizer.convert_ids_to_tokens(np.flatnonzero(ids.fixed).tolist())
    assert set(fixed) == {"[PAD]", "[CLS]", "[SEP]", "[MASK]", "[NAME]", "[DATE]"}
    words = set(tokenizer.convert_ids_to_tokens(ids.words.tolist()))
    assert words == set(tokenizer.get_vocab()) - set(fixed) - {"[UNK]"}
    assert {word for word in words if ids.continues[tokenizer.get_vocab()[word]]} == {
        word for word in words if word.startswith("##")
    }
