"""The tables that coded visits pass through: events of any source, patients, and sequences for the encoder."""

import polars as pl
import pyarrow as pa

# A row for each code of each visit. `code` is normalised (upper case, no dots, no blanks), `system` one of `SYSTEMS` or
# the source's own name. `admit` and `discharge` are those of the visit, or both the time of an event outside visits,
# whose `visit_id` is null. `rank` is the code's order in the visit as the source states it, from 1; null where it
# states none: never the order of rows. `flags` are the source's marks: "present_on_admission", "third_party".
# `value` is that of a measurement. `available_at` is when a clinician could have known the code: a billing diagnosis at
# its visit's discharge, whatever date the source stamps on it.
EVENTS = pl.Schema(
    {
        "subject_id": pl.String(),
        "visit_id": pl.String(),
        "admit": pl.Datetime("us"),
        "discharge": pl.Datetime("us"),
        "code": pl.String(),
        "system": pl.String(),
        "rank": pl.Int32(),
        "flags": pl.List(pl.String()),
        "value": pl.Float64(),
        "available_at": pl.Datetime("us"),
    }
)

# A row for each patient; null where the source does not say. `sex` is "F" or "M".
PATIENTS = pl.Schema({"subject_id": pl.String(), "birth": pl.Date(), "sex": pl.String(), "death": pl.Datetime("us")})

ICD9 = "ICD9CM"
ICD10 = "ICD10CM"
DIAGNOSES = (ICD9, ICD10)
SYSTEMS = (*DIAGNOSES, "ICD9PROC", "ICD10PCS", "SNOMED", "RXNORM", "NDC", "ATC", "LOINC", "CPT", "HCPCS")

# A row for each patient, codes in order: `visit` is the number of each code's visit, from 1; `rank` its order in the
# visit, from 1, 0 where unknown; `day` the days from the first visit's admission to that of its visit; `los` and `gap`
# hold a number for each visit: its days from admission to discharge, and the days from its discharge to the next
# visit's admission, 0 for the last. Columns of labels may follow.
SEQUENCES = pa.schema(
    [
        ("subject_id", pa.string()),
        ("birth", pa.date32()),
        ("sex", pa.string()),
        ("first_admit", pa.timestamp("us")),
        ("input_ids", pa.list_(pa.int32())),
        ("visit", pa.list_(pa.int32())),
        ("rank", pa.list_(pa.int32())),
        ("day", pa.list_(pa.int32())),
        ("los", pa.list_(pa.int32())),
        ("gap", pa.list_(pa.int32())),
    ]
)

# Ids that are no codes. Original Med-BERT has its mask at the id of its padding.
PAD, MASK, UNK, CLS = range(4)
SPECIALS = ("[PAD]", "[MASK]", "[UNK]", "[CLS]")
