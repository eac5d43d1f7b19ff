"""TFRecords, read back by a reader that shares nothing with the writer: CRCs bit by bit, protobuf field by field."""

import struct

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.pretraining.schemas import INSTANCES
from spacy_clinbert.pretraining.tfrecord import write_tfrecords

SETTINGS = ExportSettings(length=12, max_predictions=3, form="tfrecord")
ROW = {
    "input_ids": [2, 300, 4, 70000, 3, 9, 3],
    "token_type_ids": [0, 0, 0, 0, 0, 1, 1],
    "masked_lm_positions": [2, 5],
    "masked_lm_ids": [128, 119546],
    "next_sentence_label": 1,
    "note_id": "n",
    "section": "s",
}


def crc32c(data: bytes) -> int:
    """CRC-32C of RFC 3720, bit by bit: the reversed polynomial 0x82F63B78."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def unmasked(stored: int) -> int:
    """The checksum before TensorFlow's masking: turned by 15 bits, and a constant added."""
    turned = (stored - 0xA282EAD8) % 2**32
    return (turned * 2**15) % 2**32 + turned // 2**17


def read_records(data: bytes) -> list[bytes]:
    """The records of a file whose checksums match."""
    records = []
    while data:
        length = int.from_bytes(data[:8], "little")
        if unmasked(int.from_bytes(data[8:12], "little")) != crc32c(data[:8]):
            raise ValueError("length")
        if unmasked(int.from_bytes(data[12 + length : 16 + length], "little")) != crc32c(data[12 : 12 + length]):
            raise ValueError("data")
        records.append(data[12 : 12 + length])
        data = data[16 + length :]
    return records


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        value += (data[at] % 128) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return value, at


def fields(data: bytes) -> list[tuple[int, bytes]]:
    """The length-delimited fields of a message."""
    found, at = [], 0
    while at < len(data):
        tag, at = read_varint(data, at)
        assert tag % 8 == 2
        length, at = read_varint(data, at)
        found.append((tag // 8, data[at : at + length]))
        at += length
        assert at <= len(data)
    return found


def read_example(data: bytes) -> dict[str, list]:
    """A tf.train.Example as lists: features 1, feature 1 with key 1 and value 2, float_list 2, int64_list 3."""
    ((number, features),) = fields(data)
    assert number == 1
    example = {}
    for number, entry in fields(features):
        (key_number, key), (value_number, feature) = fields(entry)
        ((kind, values),) = fields(feature)
        ((list_number, packed),) = fields(values)
        assert (number, key_number, value_number, list_number) == (1, 1, 2, 1) and kind in (2, 3)
        if kind == 2:
            example[key.decode()] = list(struct.unpack(f"<{len(packed) // 4}f", packed))
        else:
            numbers, at = [], 0
            while at < len(packed):
                value, at = read_varint(packed, at)
                numbers.append(value)
            example[key.decode()] = numbers
    return example


def written(tmp_path, rows, chosen=SETTINGS) -> bytes:
    path = tmp_path / "shard.tfrecord"
    batches = [pa.RecordBatch.from_pylist(rows[start : start + 2], INSTANCES) for start in range(0, len(rows), 2)]
    assert write_tfrecords(batches, path, chosen) == len(rows)
    return path.read_bytes()


def test_the_readers_checksum_is_the_published_one():
    # RFC 3720, B.4, and the check value of the catalogue of CRC algorithms.
    assert crc32c(bytes(32)) == 0x8A9136AA and crc32c(b"123456789") == 0xE3069283


def test_an_example_has_the_features_of_googles_scripts(tmp_path):
    (record,) = read_records(written(tmp_path, [ROW]))
    assert read_example(record) == {
        "input_ids": [2, 300, 4, 70000, 3, 9, 3, 0, 0, 0, 0, 0],
        "input_mask": [1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        "segment_ids": [0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0],
        "masked_lm_positions": [2, 5, 0],
        "masked_lm_ids": [128, 119546, 0],
        "masked_lm_weights": [1.0, 1.0, 0.0],
        "next_sentence_labels": [1],
    }


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3), st.integers(0, 1), st.randoms()), max_size=7))
def test_any_examples_come_back(tmp_path_factory, shapes):
    rows = [
        ROW
        | {
            "input_ids": [rng.choice([0, 127, 128, 16383, 16384, 2**31 - 1]) for _ in range(length)],
            "token_type_ids": [rng.randint(0, 1) for _ in range(length)],
            "masked_lm_positions": list(range(masked)),
            "masked_lm_ids": [rng.randint(0, 200_000) for _ in range(masked)],
            "next_sentence_label": label,
        }
        for length, masked, label, rng in shapes
    ]
    examples = [*map(read_example, read_records(written(tmp_path_factory.mktemp("records"), rows)))]
    assert len(examples) == len(rows)
    for row, example in zip(rows, examples):
        pad, unmasked_pad = [0] * (12 - len(row["input_ids"])), [0] * (3 - len(row["masked_lm_ids"]))
        assert example["input_ids"] == row["input_ids"] + pad
        assert example["segment_ids"] == row["token_type_ids"] + pad
        assert example["input_mask"] == [1] * len(row["input_ids"]) + pad
        assert example["masked_lm_ids"] == row["masked_lm_ids"] + unmasked_pad
        assert example["masked_lm_weights"] == [1.0] * len(row["masked_lm_ids"]) + unmasked_pad
        assert example["next_sentence_labels"] == [row["next_sentence_label"]]


@pytest.mark.parametrize("place", [0, 9, 12, 40, -1])
def test_a_flipped_bit_breaks_a_checksum(tmp_path, place):
    data = bytearray(written(tmp_path, [ROW]))
    data[place] ^= 4
    with pytest.raises(ValueError, match=r"length|data"):
        read_records(bytes(data))
