"""The tables between notes and training: what each step of an export takes and gives."""

import pyarrow as pa

# A note. `patient` and `category` are empty where the source does not say.
NOTES = pa.schema(
    [
        ("note_id", pa.string()),
        ("patient", pa.string()),
        ("category", pa.string()),
        ("text", pa.string()),
    ]
)

# A note after placeholders, sections and sentences: one row a note. `sentences` are its segments in order, each the
# text of a sentence, `pieces` their wordpieces without specials (empty where no tokenizer was asked for), `starts`
# marks the first sentence of each section, `sections` is the category of the section of each sentence.
SEGMENTS = pa.schema(
    [
        ("note_id", pa.string()),
        ("patient", pa.string()),
        ("category", pa.string()),
        ("sentences", pa.list_(pa.string())),
        ("pieces", pa.list_(pa.list_(pa.int32()))),
        ("starts", pa.list_(pa.bool_())),
        ("sections", pa.list_(pa.string())),
    ]
)

# A BERT example, unpadded, masks applied, as Google's create_pretraining_data writes it: `masked_lm_ids` are the
# original pieces at `masked_lm_positions`; `next_sentence_label` is 1 where the second segment is random; `section` is
# the category of the section in which the first segment begins.
INSTANCES = pa.schema(
    [
        ("input_ids", pa.list_(pa.int32())),
        ("token_type_ids", pa.list_(pa.int8())),
        ("masked_lm_positions", pa.list_(pa.int32())),
        ("masked_lm_ids", pa.list_(pa.int32())),
        ("next_sentence_label", pa.int8()),
        ("note_id", pa.string()),
        ("section", pa.string()),
    ]
)

# Pieces run together over documents, specials included (BioBERTpt).
BLOCKS = pa.schema([("input_ids", pa.list_(pa.int32()))])
