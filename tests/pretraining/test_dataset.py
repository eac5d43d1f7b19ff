"""Rows of an export at random: which they are, in which order, with which masks, and how much memory they take."""

import random

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_exports import CLS, MASK, SEP, write_export
from transformers import AutoTokenizer

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.pretraining.chance import name_keys
from spacy_clinbert.pretraining.dataset import IGNORED, Batches, Instances, collate, shuffled
from spacy_clinbert.pretraining.dynamic_masking import Masking
from spacy_clinbert.pretraining.held_out import all_parts, divide, spread
from spacy_clinbert.pretraining.sides import is_held_out

SIZES = st.lists(st.integers(1, 12), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    return write_export(tmp_path_factory.mktemp("export") / "instances")


def shards(folder):
    return sorted(folder.glob("*.parquet"))


def rows_of(folder):
    return [row for path in shards(folder) for row in pq.read_table(path).to_pylist()]


def test_every_row_is_read_as_it_was_written_in_any_order(export):
    instances, rows = Instances(all_parts(shards(export)), window=150), rows_of(export)
    assert len(instances) == len(rows) == 480
    for number in random.Random(0).sample(range(480), 480):
        example, row = instances[number], rows[number]
        original = np.where(example["labels"] == IGNORED, example["input_ids"], example["labels"])
        restored = list(row["input_ids"])
        for place, piece in zip(row["masked_lm_positions"], row["masked_lm_ids"], strict=True):
            restored[place] = piece
        assert example["input_ids"].tolist() == row["input_ids"] and original.tolist() == restored
        assert np.flatnonzero(example["labels"] != IGNORED).tolist() == row["masked_lm_positions"]
        assert example["token_type_ids"].tolist() == row["token_type_ids"]
        assert example["next_sentence_label"] == row["next_sentence_label"]


def test_memory_is_bounded_by_the_window(export):
    instances = Instances(all_parts(shards(export)), window=200)
    for number in shuffled(instances.sizes, 0, 200):
        instances[number]
        held = sum(instances.sizes[part] for part in instances._cache)
        assert held <= 200


def test_a_pass_in_order_reads_each_part_once(export, monkeypatch):
    instances, read = Instances(all_parts(shards(export)), window=200), []
    original = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda *a, **k: read.append(1) or original(*a, **k))
    for number in shuffled(instances.sizes, 3, 200):
        instances[number]
    assert len(read) == len(instances.parts)


@given(SIZES, st.integers(0, 9), st.integers(1, 40))
def test_an_order_goes_through_all_rows_once_and_is_a_function_of_its_seed(sizes, seed, window):
    order = list(shuffled(sizes, seed, window))
    assert sorted(order) == list(range(sum(sizes)))
    assert order == list(shuffled(sizes, seed, window))


@given(SIZES, st.sampled_from([(1, 1), (2, 1), (1, 2), (2, 2), (4, 1), (1, 4)]), st.integers(1, 7))
def test_processes_and_parts_share_out_the_same_updates(sizes, shares, steps):
    accumulate, processes = shares
    if sum(sizes) < 4:
        return
    whole = [sorted(batch) for batch in Batches(sizes, steps, 4, (1, 1, 0), seed=5)]
    batches = [list(Batches(sizes, steps, 4, (accumulate, processes, rank), 5)) for rank in range(processes)]
    assert all(len(mine) == steps * accumulate for mine in batches)
    for step in range(steps):
        parts = [mine[step * accumulate + part] for mine in batches for part in range(accumulate)]
        assert sorted(key for part in parts for key in part) == whole[step]
    total = sum(sizes)
    per_pass = total // 4 * 4
    keys = [key for batch in whole for key in batch]
    for turn in range(0, len(keys), per_pass):
        seen = [key % total for key in keys[turn : turn + per_pass]]
        assert len(set(seen)) == len(seen), "a row comes once in a pass"
        assert {key // total for key in keys[turn : turn + per_pass]} == {turn // per_pass}


def test_another_pass_has_another_order():
    first, second = (list(shuffled([50, 50], seed)) for seed in (1, 2))
    assert first != second
    keys = [key for batch in Batches([20], 10, 4, (1, 1, 0), 0) for key in batch]
    assert [key % 20 for key in keys[:20]] != [key % 20 for key in keys[20:]]


def test_batches_are_padded_and_padding_is_not_looked_at(export):
    instances = Instances(all_parts(shards(export)))
    rows = [instances[number] for number in range(40)]
    batch = collate(rows, pad_id=0)
    for line, row in enumerate(rows):
        length = len(row["input_ids"])
        assert batch["attention_mask"][line].tolist() == [1] * length + [0] * (batch["input_ids"].shape[1] - length)
        assert batch["input_ids"][line, :length].tolist() == row["input_ids"].tolist()
        assert (batch["input_ids"][line, length:] == 0).all() and (batch["labels"][line, length:] == IGNORED).all()


def test_no_note_is_on_both_sides(export):
    sides = divide(shards(export), 7)
    train, held_out = Instances(sides.train), Instances(sides.held_out)
    rows = rows_of(export)
    wanted = np.flatnonzero(is_held_out(name_keys([row["note_id"] for row in rows], 7))).tolist()
    assert len(held_out) == len(wanted) and len(train) == len(rows) - len(wanted)
    for mine, number in zip(range(len(held_out)), wanted, strict=True):
        assert held_out[mine]["input_ids"].tolist() == rows[number]["input_ids"]


def test_one_note_in_twenty_is_held_out():
    held = is_held_out(name_keys([f"note-{number}" for number in range(20_000)], 7))
    assert abs(held.mean() - 0.05) < 0.005
    assert held[:50].tolist() == is_held_out(name_keys([f"note-{number}" for number in range(50)], 7)).tolist()


@pytest.mark.parametrize(("count", "held"), [(2, 1), (7, 1), (20, 1), (45, 2)])
def test_blocks_are_held_out_by_shards_without_the_block_at_the_border(tmp_path, count, held):
    folder = write_export(tmp_path / "blocks", notes=count * 5, shards=count, form="blocks")
    sides = divide(shards(folder), 7)
    kept = [(part.path.name, part.size) for part in sides.held_out if part.size]
    assert len(kept) == held and all(size == 4 for _, size in kept)
    names = [path.name for path in shards(folder)]
    borders = [names[names.index(name) + 1] for name, _ in kept if name != names[-1]]
    assert {part.path.name: part.size for part in sides.train} == {
        name: 4 if name in borders else 5 for name in names if name not in dict(kept)
    }


@pytest.mark.parametrize("empty", [18, 19, 20])
def test_a_block_that_begins_shards_before_is_of_no_side_if_one_of_these_is_of_the_other(tmp_path, empty):
    """Notes that fill no block leave a shard without rows, and their pieces to the next one with any."""
    folder = write_export(tmp_path / "blocks", notes=45 * 5, shards=45, form="blocks")
    path = shards(folder)[empty]
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    sides = divide(shards(folder), 7)
    first = {part.path: np.unpackbits(part.kept)[0] for side in sides for part in side if part.size}
    # Held out are 19 and 39; a block of 19 may begin in 18, one of 20 in 19.
    mixed = {18: (19, 20), 19: (20,), 20: (19, 21)}[empty]
    assert [number for number, at in enumerate(shards(folder)) if at in first and not first[at]] == [*mixed, 39, 40]


@pytest.mark.parametrize(("notes", "number", "form"), [(1, 1, "instances"), (5, 1, "blocks")])
def test_too_little_to_hold_out_is_one_sentence(tmp_path, notes, number, form):
    folder = write_export(tmp_path / "few", notes=notes, shards=number, form=form)
    with pytest.raises(ClinbertError, match="too few") as raised:
        divide(shards(folder), 7)
    assert "\n" not in str(raised.value)


@given(st.integers(1, 500), st.integers(1, 50))
def test_scored_rows_are_spread_evenly(total, most):
    rows = spread(total, most)
    assert len(rows) == min(total, most) and len(set(rows.tolist())) == len(rows)
    assert set(rows.tolist()) <= set(range(total))
    steps = np.diff(rows)
    assert not len(steps) or steps.max() - steps.min() <= 1


def test_dynamic_masks_are_a_function_of_seed_and_key_in_the_papers_shares(export):
    tokenizer = AutoTokenizer.from_pretrained(export / "tokenizer")
    tokenizer.add_special_tokens({"additional_special_tokens": ["[NAME]"]})
    tag = tokenizer.convert_tokens_to_ids("[NAME]")
    masking = Masking(tokenizer, 0.15, seed=1)
    ids = np.array([CLS, *(list(range(5, 30)) + [tag]) * 20, SEP])
    drawn = [masking.mask(ids, key) for key in range(200)]
    again = Masking(tokenizer, 0.15, seed=1).mask(ids, 7)
    assert (drawn[7][0] == again[0]).all() and (drawn[7][1] == again[1]).all() and (drawn[7][0] != drawn[8][0]).any()
    masked, chosen = (np.stack(part) for part in zip(*drawn, strict=True))
    ordinary = (ids != tag) & (ids != CLS) & (ids != SEP)
    assert not chosen[:, ~ordinary].any() and (masked[~chosen] == np.broadcast_to(ids, masked.shape)[~chosen]).all()
    assert abs(chosen[:, ordinary].mean() - 0.15) < 0.005
    outcome, before = masked[chosen], np.broadcast_to(ids, masked.shape)[chosen]
    assert abs((outcome == MASK).mean() - 0.8) < 0.01 and abs((outcome == before).mean() - 0.1) < 0.02
    assert not np.isin(outcome[outcome != MASK], [0, 1, 2, 3, tag]).any()


def test_dynamic_masks_of_instances_replace_those_of_the_export(export):
    tokenizer = AutoTokenizer.from_pretrained(export / "tokenizer")
    static, rows = Instances(all_parts(shards(export))), rows_of(export)
    dynamic = Instances(all_parts(shards(export)), Masking(tokenizer, 0.15, seed=1))
    differs = anew = 0
    for number in range(60):
        one, other = static[number], dynamic[number]
        originals = [np.where(e["labels"] == IGNORED, e["input_ids"], e["labels"]) for e in (one, other)]
        assert (originals[0] == originals[1]).all()
        differs += (one["labels"] != other["labels"]).any()
        anew += (dynamic[number + len(rows)]["labels"] != other["labels"]).any()
    assert differs > 50 and anew > 50
