"""The columns of notes, of what `annotate_batches` gives, and of the tables that are written."""

import pyarrow as pa

NOTES_SCHEMA = pa.schema([("note_id", pa.string()), ("text", pa.string())])

_BOUNDS = [("start", pa.int32()), ("end", pa.int32())]
# Offsets are characters of the note's text.
TABLE_SCHEMA = pa.schema(
    [
        ("note_id", pa.string()),
        (
            "sections",
            pa.list_(pa.struct([*_BOUNDS, ("title", pa.string()), ("category", pa.string()), ("level", pa.int32())])),
        ),
        ("sentences", pa.list_(pa.struct(_BOUNDS))),
        (
            "entities",
            pa.list_(pa.struct([*_BOUNDS, ("label", pa.string()), ("score", pa.float64()), ("section", pa.string())])),
        ),
    ]
)
# `dropped` is the number of sections without a token, which are left out; `rejected` says why a note has no
# annotations, and is null where it has.
OUTPUT_SCHEMA = pa.schema([*TABLE_SCHEMA, ("dropped", pa.int32()), ("rejected", pa.string())])
