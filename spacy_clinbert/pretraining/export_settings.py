"""The settings of an export: section [export] of a recipe, checked."""

from typing import Literal, Tuple

from pydantic import BaseModel, ConfigDict, Field, PositiveInt


class ExportSettings(BaseModel):
    """How notes become pretraining examples; the defaults of the numbers are those of Google BERT's scripts.

    placeholders (str): "keep" leaves them as text, "tag" puts one special token of their kind, "drop" takes them out.
    sections (str): "clinical" for `split_sections`, "original" and "original-fixed" for ClinicalBERT's, "none".
    sentences (str): a backend of `split_sentences`.
    form (str): "instances" (BERT examples, Parquet), "tfrecord" (the same for Google's scripts), "text" (sentences a
        line), "blocks" (pieces run together, no pairs).
    document (str): what sentence pairs come from: a "note", or a "section" of it.
    tokenizer (str): catalogue alias, hub id or folder; empty for that of `model.init`. Not used by "text".
    length (int): wordpieces in an instance or block, specials included.
    short_probability (float): share of instances with a shorter random target.
    dupe (int): differently masked copies of each note.
    max_predictions (int): most masked wordpieces in an instance.
    mask_probability (float): share of the wordpieces to predict.
    whole_word (bool): mask all pieces of a word together.
    copies (str): notes whose text was read before: "keep" does not look, "count" counts, "drop" leaves them out.
    errors (str): MIMIC-III's ISERROR rows: "keep" or "drop".
    categories (tuple[str, ...]): note categories to take; none for all.
    pool (int): segments from which random second ones are drawn, at least.
    chunk (int): notes in a shard; the shards do not depend on the number of workers, but they do on this.
    seed (int): of pairs, lengths, masks and pool.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    placeholders: Literal["keep", "tag", "drop"] = "keep"
    sections: Literal["clinical", "original", "original-fixed", "none"] = "clinical"
    sentences: Literal["fast", "pysbd", "parser", "original"] = "fast"
    form: Literal["instances", "text", "tfrecord", "blocks"] = "instances"
    document: Literal["note", "section"] = "note"
    tokenizer: str = ""
    length: int = Field(default=128, ge=8)
    short_probability: float = Field(default=0.1, ge=0, le=1)
    dupe: PositiveInt = 5
    max_predictions: PositiveInt = 20
    mask_probability: float = Field(default=0.15, gt=0, lt=1)
    whole_word: bool = False
    copies: Literal["keep", "count", "drop"] = "keep"
    errors: Literal["keep", "drop"] = "keep"
    categories: Tuple[str, ...] = ()
    pool: PositiveInt = 100_000
    chunk: PositiveInt = 500
    seed: int = Field(default=12345, ge=0)
