"""Masks, patients and batches of pretraining on codes: functions of seed and patient, whatever the division."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from ehr_patients import CODES, KEYS, ORIGINAL_KEYS, write_patients
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.ehr.code_batches import POOL, CodeBatches
from spacy_clinbert.ehr.code_dataset import CodeDataset, find_side, to_patients
from spacy_clinbert.ehr.code_masking import CodeMasking
from spacy_clinbert.ehr.pretrain_settings import LOT, CodeTrainingSettings
from spacy_clinbert.ehr.schemas import SEQUENCES
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.code_bert import CodeBertConfig, CodeBertForPreTraining
from spacy_clinbert.models.code_sequences import CodeLayout
from spacy_clinbert.models.code_styles import STYLES
from spacy_clinbert.models.code_vocabulary import CodeVocabulary
from spacy_clinbert.pretraining.dataset import IGNORED

VOCABULARY = CodeVocabulary(KEYS)


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    return write_patients(tmp_path_factory.mktemp("patients") / "prepared", 300, 10)


def make_dataset(folder, style="default", length=24, static=False, probability=0.15, skip_longer=False):
    layout = CodeLayout(CodeBertConfig(style=style, ages=True, gaps=True), length - (style == "default"))
    side = find_side(sorted(folder.glob("train-*.parquet")), layout, skip_longer)
    vocabulary = VOCABULARY if style != "original" else CodeVocabulary(ORIGINAL_KEYS)
    return CodeDataset(side.parts, layout, CodeMasking(vocabulary, probability, 7), static, window=100), side


def make_ids(rng, rows=400, longest=40, first=4):
    ids = rng.integers(first, len(KEYS), (rows, longest))
    lengths = rng.integers(1, longest + 1, rows)
    ids[np.arange(longest) >= lengths[:, None]] = 0
    return ids, lengths


@pytest.mark.parametrize("probability", [None, 0.15, 0.3])
def test_as_many_codes_are_masked_as_said(probability):
    ids, lengths = make_ids(np.random.default_rng(0))
    masked, labels = CodeMasking(VOCABULARY, probability, 1).mask(ids, np.arange(len(ids)), 0)
    wanted = np.ones(len(ids)) if probability is None else np.maximum(1, np.rint(lengths * probability))
    assert ((labels != IGNORED).sum(axis=1) == wanted).all()
    at = labels != IGNORED
    assert (labels[at] == ids[at]).all() and (masked[~at] == ids[~at]).all()


def test_of_the_masked_80_are_masked_10_random_10_kept():
    ids, _ = make_ids(np.random.default_rng(0), rows=20_000, first=5)
    masked, labels = CodeMasking(VOCABULARY, 0.3, 1).mask(ids, np.arange(len(ids)), 0)
    at = labels != IGNORED
    found, gold = masked[at], labels[at]
    shares = [(found == 1).mean(), ((found != 1) & (found != gold)).mean(), (found == gold).mean()]
    # A random code is the right one in one of so many cases.
    np.testing.assert_allclose(shares, [0.8, 0.1 * (1 - 1 / CODES), 0.1 * (1 + 1 / CODES)], atol=0.005)
    drawn = np.bincount(found[(found != 1) & (found != gold)], minlength=len(KEYS))
    assert (drawn[:4] == 0).all() and drawn[4:].min() > 0.7 * drawn[4:].max()


def test_what_is_no_code_is_never_masked_and_the_original_masks_with_its_padding():
    ids = np.array([[3, 2, 2, 0], [3, 2, 9, 0], [3, 0, 0, 0]])
    for key in range(50):
        masked, labels = CodeMasking(VOCABULARY, 0.9, key).mask(ids, np.arange(3), 1)
        assert labels.tolist() == [[IGNORED] * 4, [IGNORED, IGNORED, 9, IGNORED], [IGNORED] * 4]
        assert masked[0].tolist() == ids[0].tolist() and masked[2].tolist() == ids[2].tolist()
    original = CodeMasking(CodeVocabulary(ORIGINAL_KEYS), None, 1)
    masked, labels = original.mask(np.array([[1, 2, 3, 4]] * 999), np.arange(999), 0)
    at = labels != IGNORED
    assert at.sum() == 999 and 0.75 < (masked[at] == 0).mean() < 0.85 and masked.max() <= CODES


@given(st.integers(0, 2**40), st.integers(1, 30), st.integers(0, 9), st.sampled_from([None, 0.15, 0.5]))
@settings(max_examples=60)
def test_a_mask_is_a_function_of_seed_and_patient(key, length, padding, probability):
    ids = np.arange(length)[None] % CODES + 4
    masking = CodeMasking(VOCABULARY, probability, 3)
    alone = masking.mask(ids, np.array([key]), 0)
    padded = np.concatenate([np.full((1, 1), 3), ids, np.zeros((1, padding), dtype=np.int64)], axis=1)
    company = np.concatenate([padded, padded[:, ::-1]])
    together = masking.mask(company, np.array([key, key + 1]), 1)
    for mine, theirs in zip(alone, together, strict=True):
        assert mine[0].tolist() == theirs[0, 1 : length + 1].tolist()


@pytest.mark.parametrize("style", ["original", "paper", "default"])
def test_a_patient_is_the_row_of_the_shard(patients, style):
    dataset, side = make_dataset(patients, style)
    rows = [row for path in sorted(patients.glob("train-*.parquet")) for row in pq.read_table(path).to_pylist()]
    assert len(dataset) == len(rows) == len(side.lengths) and side.skipped == 0
    keys = np.random.default_rng(0).permutation(len(rows))[:70]
    batch = dataset.__getitems__(keys.tolist())
    cls = style == "default"
    for key, ids, labels, mask, stay in zip(
        keys, *(batch[name] for name in ("input_ids", "labels", "attention_mask", "next_sentence_label")), strict=True
    ):
        row, at = rows[key], labels != IGNORED
        original = torch.where(at, labels, ids)[mask == 1].tolist()
        assert original == [3] * cls + row["input_ids"][-(24 - cls) :] and len(original) == side.lengths[key]
        assert bool(stay) == (max(row["los"]) > 7) and at.any()


def test_masks_are_drawn_anew_in_each_pass_or_once(patients):
    for static in (True, False):
        dataset, _ = make_dataset(patients, static=static)
        first, second, again = (
            dataset.__getitems__([number + turn * len(dataset) for number in range(50)]) for turn in (0, 1, 0)
        )
        assert torch.equal(first["labels"], again["labels"])
        assert torch.equal(first["input_ids"], second["input_ids"]) == static
        assert torch.equal(first["token_type_ids"], second["token_type_ids"])


def test_longer_patients_are_skipped_in_the_original_only(patients):
    dataset, side = make_dataset(patients, "original", length=10, skip_longer=True)
    every, all_sides = make_dataset(patients, "original", length=10)
    rows = [row for path in sorted(patients.glob("train-*.parquet")) for row in pq.read_table(path).to_pylist()]
    longer = sum(len(row["input_ids"]) > 10 for row in rows)
    assert side.skipped == longer > 0 == all_sides.skipped and len(every) == len(rows) == len(dataset) + longer
    batch = dataset.__getitems__(range(len(dataset)))
    kept = [len(row["input_ids"]) for row in rows if len(row["input_ids"]) <= 10]
    assert batch["attention_mask"].sum(dim=1).tolist() == kept


def batches_of(lengths, processes=1, process=0, accumulate=1, seed=5, sizes=None, **training):
    chosen = CodeTrainingSettings(steps=1, seed=seed, **training)
    return CodeBatches(
        sizes or [len(lengths)], np.array(lengths, np.uint16), 99, chosen, (accumulate, processes, process)
    )


@given(
    st.lists(st.integers(1, 512), min_size=16, max_size=400),
    st.sampled_from([{"batch_size": 16}, {"batch_codes": 999}]),
)
@settings(max_examples=40)
def test_a_pass_has_each_patient_once_and_bounded_padding(lengths, training):
    batches = batches_of(lengths, **training)
    updates = list(batches.turn(0))
    seen = [key for update in updates for key in update]
    assert len(set(seen)) == len(seen) == len(lengths) // 16 * 16 and set(seen) <= set(range(len(lengths)))
    assert all(len(update) % 16 == 0 for update in updates)
    if "batch_codes" in training:
        assert all(len(u) == LOT or len(u) * max(lengths[k] for k in u) <= 999 for u in updates)
    other = [key - len(lengths) for update in batches.turn(1) for key in update]
    assert sorted(other)[0] >= 0 and (len(lengths) < 40 or other != seen)


def test_updates_are_of_similar_lengths():
    lengths = np.random.default_rng(0).geometric(0.05, 5000).clip(1, 512)
    updates = list(batches_of(lengths, batch_size=32).turn(0))
    padded = sum(len(update) * max(lengths[key] for key in update) for update in updates)
    assert len(updates) == 5000 // 32 and padded < 1.1 * lengths.sum()


@pytest.mark.parametrize("training", [{"batch_size": 32}, {"batch_codes": 4096}])
@pytest.mark.parametrize(("processes", "accumulate"), [(2, 1), (4, 1), (2, 2)])
def test_updates_are_the_same_on_any_number_of_processes(training, processes, accumulate):
    lengths = np.random.default_rng(1).integers(3, 200, 700).tolist()
    alone = list(batches_of(lengths, sizes=[300, 400], **training))
    shares = [
        list(batches_of(lengths, processes, process, accumulate, sizes=[300, 400], **training))
        for process in range(processes)
    ]
    for number, update in enumerate(alone):
        parts = [share[number * accumulate + part] for part in range(accumulate) for share in shares]
        assert [key for part in parts for key in part] == update


def test_pools_end_and_begin(monkeypatch):
    monkeypatch.setattr("spacy_clinbert.ehr.code_batches.POOL", 64)
    lengths = np.random.default_rng(2).integers(3, 100, 333)
    seen = [key for update in batches_of(lengths, batch_codes=512).turn(3) for key in update]
    assert len(set(seen)) == len(seen) == 320 and POOL > 64


@pytest.mark.parametrize("damage", ["cut", "column", "ragged"])
def test_a_damaged_shard_is_one_sentence(tmp_path, damage):
    folder = write_patients(tmp_path / "prepared", 20, 4)
    path = folder / "train-00000.parquet"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        table = pq.read_table(path)
        changed = table.drop_columns(["rank"])
        if damage == "ragged":
            changed = changed.append_column("rank", table.column("los"))
        pq.write_table(changed, path)
    with pytest.raises(ClinbertError, match=r"no column rank" if damage == "column" else "is damaged") as raised:
        dataset, _ = make_dataset(folder)
        dataset.__getitems__([0, 1])
    assert "\n" not in str(raised.value) and "train-00000" in str(raised.value)


@pytest.mark.parametrize("style", ["original", "paper", "default"])
def test_logits_do_not_depend_on_padding_order_and_bucket(patients, style):
    dataset, side = make_dataset(patients, style)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = CodeBertConfig(
        style=style, pooling=STYLES[style].poolings[0], ages=True, gaps=True, vocab_size=len(KEYS), **sizes
    )
    model = CodeBertForPreTraining(config).eval()

    def logits(keys):
        batch = dataset.__getitems__(keys)
        labels = batch.pop("labels")
        del batch["next_sentence_label"]
        with torch.no_grad():
            found = model(**batch)
        masked = [found.prediction_logits[i][labels[i] != IGNORED] for i in range(len(keys))]
        return dict(zip(keys, zip(masked, found.seq_relationship_logits, strict=True), strict=True))

    keys = list(range(40))
    by_length = sorted(keys, key=lambda key: int(side.lengths[key]))
    ways = [
        logits(keys),
        logits(keys[::-1]),
        {k: v for i in range(0, 40, 8) for k, v in logits(by_length[i : i + 8]).items()},
    ]
    for key in keys:
        for way in ways[1:]:
            for first, second in zip(ways[0][key], way[key], strict=True):
                torch.testing.assert_close(first, second, atol=1e-4, rtol=0)


def test_a_stay_of_seven_days_is_not_prolonged():
    stays = [[7], [8], [0, 8, 7], [7, 7]]
    one = {name: [1] for name in ("input_ids", "visit", "rank", "day")}
    rows = [{"subject_id": str(number), **one, "los": los, "gap": los} for number, los in enumerate(stays)]
    assert to_patients(pa.Table.from_pylist(rows, SEQUENCES)).prolonged.tolist() == [0, 1, 1, 0]
