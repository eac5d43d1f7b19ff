"""Statistics over 100,000 instances of an export, beside Google's algorithm in plain Python on the same documents.

The open MTSamples notes are split and made into wordpieces as `clinbert export` does it, with a vocabulary trained on
them. Then each wordpiece gets a number of its own, in both algorithms: so an instance tells where each of its pieces
came from. Notes stand in threes for a patient.
Run: python benchmarks/export_statistics.py [--notes 1900]; the open notes are looked for in CLINBERT_SHARED.
"""

import argparse
import gzip
import json
import os
import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import bert_reference
import numpy as np
import pyarrow as pa

from spacy_clinbert.corpora.notes import Note
from spacy_clinbert.pretraining.chance import mix
from spacy_clinbert.pretraining.documents import read_documents
from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.pretraining.export_tokenizer import load_tokenizer, read_wordpieces
from spacy_clinbert.pretraining.instances import instance_batches
from spacy_clinbert.pretraining.pairs import make_pairs
from spacy_clinbert.pretraining.pieces import PieceIds, piece_ids
from spacy_clinbert.pretraining.pool import candidates, merge, owner_keys
from spacy_clinbert.pretraining.schemas import NOTES
from spacy_clinbert.pretraining.segments import segment_batches
from spacy_clinbert.pretraining.vocabulary import train_vocabulary, write_tokenizer

SHARED = Path(os.environ.get("CLINBERT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
# Seven copies of the 1,900 notes are over 100,000 instances.
SETTINGS = ExportSettings(dupe=7)
VOCABULARY = 8000
# A short target is drawn for a whole document, so the share of random seconds differs by some tenths of a point from
# seed to seed, in both algorithms; one run of each cannot tell a difference of a point from chance.
SEEDS = range(10)


class Corpus(NamedTuple):
    """Notes as SEGMENTS with numbered wordpieces.

    batches (list[pa.RecordBatch]): the notes, 500 a batch.
    ids (PieceIds): of the numbers.
    kinds (np.ndarray): the wordpiece in the vocabulary of each number.
    notes (np.ndarray): the row of the note of each number, -1 for special ones.
    patients (list[str]): of each row.
    n_unknown (int): [UNK] among the pieces.
    """

    batches: list[pa.RecordBatch]
    ids: PieceIds
    kinds: np.ndarray
    notes: np.ndarray
    patients: list[str]
    n_unknown: int


def read_corpus(count: int, folder: Path) -> tuple[Corpus, Any]:
    """The notes and the tokenizer of their wordpieces."""
    with gzip.open(SHARED / "data" / "notes" / "mtsamples.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines][:count]
    notes = [Note(str(number), text) for number, text in enumerate(texts)]
    pieces = train_vocabulary(lambda: notes, size=VOCABULARY, min_notes=5, cased=True).pieces
    write_tokenizer(pieces, folder, cased=True, length=SETTINGS.length)
    tokenizer = load_tokenizer(SETTINGS.model_copy(update={"tokenizer": str(folder)}))
    rows = [
        {"note_id": str(number), "patient": f"p{number // 3}", "category": "", "text": text}
        for number, text in enumerate(texts)
    ]
    batches = (pa.RecordBatch.from_pylist(rows[start : start + 500], NOTES) for start in range(0, len(rows), 500))
    segmented = list(segment_batches(batches, SETTINGS, read_wordpieces(folder)))
    return number_pieces(segmented, tokenizer), tokenizer


def number_pieces(batches: list[pa.RecordBatch], tokenizer: Any) -> Corpus:
    """Give each wordpiece a number behind those of the vocabulary, which is left to the special pieces."""
    real = piece_ids(tokenizer)
    first = len(real.fixed)
    kinds, notes, patients = [np.arange(first)], [np.full(first, -1)], []
    numbered = []
    for batch in batches:
        column = batch.column("pieces")
        flat = column.flatten().flatten().to_numpy()
        numbers = pa.array(np.arange(first, first + len(flat), dtype=np.int32))
        sentences = pa.ListArray.from_arrays(column.flatten().offsets, numbers)
        at = batch.schema.get_field_index("pieces")
        numbered.append(batch.set_column(at, "pieces", pa.ListArray.from_arrays(column.offsets, sentences)))
        per_note = [sum(map(len, note)) for note in column.to_pylist()]
        notes.append(np.repeat(np.arange(len(patients), len(patients) + len(per_note)), per_note))
        patients += batch.column("patient").to_pylist()
        kinds.append(flat)
        first += len(flat)
    kind = np.concatenate(kinds)
    words = np.arange(len(real.fixed), first, dtype=np.int32)
    ids = PieceIds(real.cls, real.sep, real.mask, words, real.fixed[kind], real.continues[kind])
    unknown = int((kind[len(real.fixed) :] == tokenizer.unk_token_id).sum())
    return Corpus(numbered, ids, kind, np.concatenate(notes), patients, unknown)


def ours(corpus: Corpus) -> Iterator[bert_reference.Instance]:
    """The instances of our export; what chunk each was made of is not in them."""
    pool = merge((candidates(batch, SETTINGS) for batch in corpus.batches), SETTINGS)
    for batch in instance_batches(corpus.batches, pool, SETTINGS, corpus.ids):
        for row in batch.to_pylist():
            yield bert_reference.Instance(
                row["input_ids"],
                row["token_type_ids"],
                row["masked_lm_positions"],
                row["masked_lm_ids"],
                bool(row["next_sentence_label"]),
                0,
            )


def theirs(corpus: Corpus, seed: int) -> list[bert_reference.Instance]:
    """The instances of the reference."""
    documents = list(chain.from_iterable(batch.column("pieces").to_pylist() for batch in corpus.batches))
    ids = corpus.ids
    vocabulary = bert_reference.Vocabulary(ids.cls, ids.sep, ids.mask, ids.words.tolist(), frozenset())
    return bert_reference.create_instances(
        documents, SETTINGS.dupe, vocabulary, bert_reference.Limits(), random.Random(seed)
    )


def our_shares(corpus: Corpus, seed: int) -> tuple[float, float]:
    """The share of random seconds, in percent: over all our instances, and over chunks of at least two segments."""
    settings = SETTINGS.model_copy(update={"seed": seed})
    pool = merge((candidates(batch, settings) for batch in corpus.batches), settings)
    chunks, randoms = [], []
    for batch in corpus.batches:
        documents = read_documents(batch, settings.document)
        notes, patients = (keys[documents.note] for keys in owner_keys(batch, seed))
        for copy in range(1, settings.dupe + 1):
            keys = mix(mix(notes, copy), documents.number)
            pairs = make_pairs(documents, keys, notes, patients, pool, settings)
            chunks.append(pairs.chunk)
            randoms.append(pairs.random)
    return shares(np.concatenate(chunks), np.concatenate(randoms))


def their_shares(corpus: Corpus, seed: int) -> tuple[float, float]:
    """The same of the reference."""
    instances = theirs(corpus, seed)
    return shares(np.array([i.chunk for i in instances]), np.array([i.is_random for i in instances]))


def shares(chunks: np.ndarray, randoms: np.ndarray) -> tuple[float, float]:
    return 100 * float(randoms.mean()), 100 * float(randoms[chunks > 1].mean())


def count(instances: Iterable[bert_reference.Instance], corpus: Corpus) -> Counter[str]:
    """Count what the table shows."""
    counts: Counter[str] = Counter()
    for instance in instances:
        originals = list(instance.pieces)
        for position, piece in zip(instance.positions, instance.originals, strict=True):
            new = originals[position]
            counts["mask" if new == corpus.ids.mask else "kept" if new == piece else "other"] += 1
            originals[position] = piece
        split = instance.types.index(1)
        first, second = originals[1 : split - 1], originals[split:-1]
        wanted = min(SETTINGS.max_predictions, max(1, round(SETTINGS.mask_probability * len(originals))))
        note, other = corpus.notes[first[0]], corpus.notes[second[0]]
        counts["instances"] += 1
        counts["random"] += instance.is_random
        counts["pieces"] += len(originals)
        counts["second"] += len(second)
        counts["masked"] += len(instance.positions)
        counts["wrong mask count"] += len(instance.positions) != wanted
        counts["too long"] += len(originals) > SETTINGS.length
        counts["random of the same note"] += instance.is_random and note == other
        counts["random of the same patient"] += instance.is_random and corpus.patients[note] == corpus.patients[other]
        # Numbers ascend over the whole corpus: a run of them is the text as it stood.
        for run in (first, second):
            counts["run that is not the text"] += run != list(range(run[0], run[0] + len(run)))
            counts["run over two notes"] += corpus.notes[run[0]] != corpus.notes[run[-1]]
        counts["next that does not follow"] += not instance.is_random and (note != other or second[0] <= first[-1])
    return counts


def unlike_their_text(corpus: Corpus, tokenizer: Any) -> int:
    """Sentences without [UNK] whose wordpieces do not spell them, blanks aside."""
    spelled = np.array([piece.removeprefix("##") for piece in tokenizer.convert_ids_to_tokens(range(len(tokenizer)))])
    normalize = tokenizer.backend_tokenizer.normalizer.normalize_str
    wrong = 0
    for batch in corpus.batches:
        for texts, notes in zip(batch.column("sentences").to_pylist(), batch.column("pieces").to_pylist()):
            for text, pieces in zip(texts, notes, strict=True):
                kinds = corpus.kinds[pieces]
                known = tokenizer.unk_token_id not in kinds
                wrong += known and "".join(spelled[kinds]) != "".join(normalize(text).split())
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--notes", type=int, default=1900, help="how many MTSamples notes; 1,900 give 100,000 instances"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus, tokenizer = read_corpus(args.notes, Path(folder))
    our, their = count(ours(corpus), corpus), count(theirs(corpus, SETTINGS.seed), corpus)
    print("| | ours | reference |\n| --- | ---: | ---: |")
    print(f"| instances | {our['instances']:,} | {their['instances']:,} |")
    for name, part, whole in (
        ("random next", "random", "instances"),
        *((f"masked pieces: {kind}", kind, "masked") for kind in ("mask", "kept", "other")),
    ):
        print(f"| {name}, % | {100 * our[part] / our[whole]:.2f} | {100 * their[part] / their[whole]:.2f} |")
    for name, part in (("wordpieces", "pieces"), ("wordpieces of the second segment", "second"), ("masked", "masked")):
        print(f"| {name}, mean | {our[part] / our['instances']:.2f} | {their[part] / their['instances']:.2f} |")
    for name in (
        *("wrong mask count", "too long", "random of the same note", "random of the same patient"),
        *("run that is not the text", "run over two notes", "next that does not follow"),
    ):
        print(f"| {name} | {our[name]:,} | {their[name]:,} |")
    print(f"\nRandom next over {len(SEEDS)} seeds, %, mean and standard deviation between seeds:\n")
    print("| | ours | reference | difference of the means, with its standard error |\n| --- | ---: | ---: | ---: |")
    runs = [np.array([make(corpus, seed) for seed in SEEDS]) for make in (our_shares, their_shares)]
    for column, name in enumerate(("all instances", "chunks of at least two segments")):
        our_runs, their_runs = (run[:, column] for run in runs)
        deviations = our_runs.std(ddof=1), their_runs.std(ddof=1)
        error = float(np.hypot(*deviations)) / len(SEEDS) ** 0.5
        cells = (f"{run.mean():.2f} ({sd:.2f})" for run, sd in zip((our_runs, their_runs), deviations))
        print(f"| {name} | {' | '.join(cells)} | {our_runs.mean() - their_runs.mean():+.2f} ± {error:.2f} |")
    print()
    drawn = tokenizer.unk_token_id in piece_ids(tokenizer).words
    print(f"[UNK] among the wordpieces of the notes: {corpus.n_unknown:,}; among those that masks draw from: {drawn}.")
    print(f"Sentences that their wordpieces do not spell: {unlike_their_text(corpus, tokenizer):,}.")


if __name__ == "__main__":
    main()
