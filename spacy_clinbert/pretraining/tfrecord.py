"""Examples as TFRecords with the feature names of Google BERT's `run_pretraining.py`, written without TensorFlow.

A record is a `tf.train.Example` in protobuf's wire format, framed by its length and masked checksums (TensorFlow's
`tensorflow/core/example/example.proto`, `feature.proto` and `tensorflow/core/lib/io/record_writer.cc`).
"""

import struct
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import google_crc32c
import pyarrow as pa

from .export_settings import ExportSettings

_FLOATS, _INTEGERS = 2, 3


def write_tfrecords(batches: Iterable[pa.RecordBatch], path: Path, settings: ExportSettings) -> int:
    """Write examples to one file, padded with zeros to `settings.length` and `settings.max_predictions`.

    batches (Iterable[pa.RecordBatch]): INSTANCES.
    path (Path): the file, which is not whole until this returns.
    settings (ExportSettings): those the examples were made with.
    RETURNS (int): the number of records.
    """
    written = 0
    with path.open("wb") as file:
        for batch in batches:
            file.writelines(record(encode_example(row, settings)) for row in batch.to_pylist())
            written += batch.num_rows
    return written


def encode_example(row: dict[str, Any], settings: ExportSettings) -> bytes:
    """Encode an example as a serialized `tf.train.Example`.

    row (dict[str, Any]): a row of INSTANCES.
    settings (ExportSettings): `length` and `max_predictions`.
    RETURNS (bytes): the message, its features in the order of Google's script.
    """
    pieces, positions = row["input_ids"], row["masked_lm_positions"]
    weights = struct.pack(f"<{settings.max_predictions}f", *_padded([1.0] * len(positions), settings.max_predictions))
    features = (
        ("input_ids", _INTEGERS, _integers(_padded(pieces, settings.length))),
        ("input_mask", _INTEGERS, _integers(_padded([1] * len(pieces), settings.length))),
        ("segment_ids", _INTEGERS, _integers(_padded(row["token_type_ids"], settings.length))),
        ("masked_lm_positions", _INTEGERS, _integers(_padded(positions, settings.max_predictions))),
        ("masked_lm_ids", _INTEGERS, _integers(_padded(row["masked_lm_ids"], settings.max_predictions))),
        ("masked_lm_weights", _FLOATS, weights),
        ("next_sentence_labels", _INTEGERS, _integers([row["next_sentence_label"]])),
    )
    # Example.features is field 1, of entries that are its field 1, each a name (1) and a Feature (2); the Feature's
    # field says the kind of list, whose packed values are its field 1.
    entries = (
        _field(1, _field(1, name.encode()) + _field(2, _field(kind, _field(1, packed))))
        for name, kind, packed in features
    )
    return _field(1, b"".join(entries))


def record(data: bytes) -> bytes:
    """Frame the data of one record: length, checksum of the length, data, checksum of the data."""
    length = struct.pack("<Q", len(data))
    return b"".join((length, _checksum(length), data, _checksum(data)))


def _checksum(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _padded(values: Sequence[Any], length: int) -> list[Any]:
    return [*values, *[0] * (length - len(values))]


def _field(number: int, data: bytes) -> bytes:
    return b"".join((_varint(number << 3 | 2), _varint(len(data)), data))


def _integers(values: Sequence[int]) -> bytes:
    return b"".join(map(_varint, values))


@cache
def _varint(value: int) -> bytes:
    # Seven bits a byte, the lowest first; all but the last byte have the eighth bit set.
    octets = []
    while value > 0x7F:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*octets, value])
