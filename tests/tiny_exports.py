"""Small exports for the tests of training: sentences with a pattern to learn, as `clinbert export` writes them."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.pretraining.export_tokenizer import fingerprint
from spacy_clinbert.pretraining.manifest import Manifest, write_manifest
from spacy_clinbert.pretraining.schemas import BLOCKS, INSTANCES
from spacy_clinbert.pretraining.vocabulary import SPECIALS, write_tokenizer
from spacy_clinbert.scale.made import describe

DRUGS, SIGNS = ("Metoprolol", "Lisinopril", "Aspirin", "heparin"), ("pain", "dyspnea", "fever", "nausea")
WORDS = ["patient", "denies", "has", "given", "for", "daily", "mg", ".", *DRUGS, *SIGNS, *map(str, range(10, 30))]
PIECES = [*SPECIALS, *WORDS]
CLS, SEP, MASK = 2, 3, 4


def sentence(rng: random.Random) -> list[int]:
    """The pieces of a sentence in which the drug tells the sign."""
    which = rng.randrange(4)
    words = ["patient", rng.choice(["has", "denies"]), SIGNS[which], "given", DRUGS[which], str(rng.randint(10, 29))]
    return [PIECES.index(word) for word in [*words, *rng.choice([["mg", "daily"], []]), "."]]


def instance(note: str, rng: random.Random) -> dict:
    """An example of two sentences; a random second one has other words at its end."""
    random_next = rng.random() < 0.5
    first, second = sentence(rng), sentence(rng)
    second = second[::-1] if random_next else second
    ids = [CLS, *first, SEP, *second, SEP]
    places = sorted(rng.sample([at for at in range(len(ids)) if ids[at] not in (CLS, SEP)], 3))
    masked = [MASK if at in places else piece for at, piece in enumerate(ids)]
    return {
        "input_ids": masked,
        "token_type_ids": [0] * (len(first) + 2) + [1] * (len(second) + 1),
        "masked_lm_positions": places,
        "masked_lm_ids": [ids[at] for at in places],
        "next_sentence_label": int(random_next),
        "note_id": note,
        "section": "",
    }


def write_export(folder: Path, notes: int = 60, shards: int = 3, form: str = "instances", seed: int = 0) -> Path:
    """Write an export of invented notes, eight instances or one block each, in row groups of a hundred."""
    (folder / "tokenizer").mkdir(parents=True)
    write_tokenizer(PIECES, folder / "tokenizer", cased=True, length=32)
    rng = random.Random(seed)
    files = []
    for number in range(shards):
        names = [f"n{note}" for note in range(number, notes, shards)]
        if form == "instances":
            table = pa.Table.from_pylist([instance(name, rng) for name in names for _ in range(8)], INSTANCES)
        else:
            rows = [{"input_ids": [CLS, *(sentence(rng) * 4)[:30], SEP]} for _ in names]
            table = pa.Table.from_pylist(rows, BLOCKS)
        path = folder / f"{form}-{number:05d}.parquet"
        pq.write_table(table, path, row_group_size=100)
        files.append(describe(path, table.num_rows))
    manifest = Manifest(
        recipe="",
        source="invented",
        digest="",
        settings=ExportSettings(form=form, length=32),
        fingerprint=fingerprint(folder / "tokenizer"),
        versions={},
        counts={"notes": notes},
        shards=files,
    )
    write_manifest(manifest, folder / "manifest.json")
    return folder


RECIPE = """
[paths]
instances = "instances"
output = "encoder"

[model]
init = null
objective = "mlm+nsp"
hidden_size = 32
layers = 2
heads = 2
feed_forward = 64
dropout = 0.0

[training]
steps = 20
batch_size = 16
learning_rate = 5e-3
warmup_steps = 2
log_steps = 5
save_steps = 5
seed = 0
"""
