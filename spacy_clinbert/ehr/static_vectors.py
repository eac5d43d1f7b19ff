"""Static vectors of codes: what stands near them, by counts.

The positive pointwise mutual information of codes that stand near each other, reduced by a singular value decomposition
(Levy, Goldberg and Dagan 2015, TACL 3:211). Word2vec factorises such a matrix too (Levy and Goldberg 2014, NeurIPS);
this way there is no training and no further library. A code's context are the other codes of its visit and of the
visits next to it, since the order within a visit is mostly unknown.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse
from scipy.sparse.linalg import svds

from ..errors import ClinbertError
from ..models.code_styles import SPECIALS
from ..models.code_vocabulary import CODES, read_codes
from ..models.static_codes import TABLE, VECTORS
from ..output import whole_folder
from .ehr_manifest import check_files, read_manifest

# Patients in the memory at once.
BATCH = 5000


def make_vectors(patients: Path, out: Path, width: int, window: int = 1, seed: int = 0) -> int:
    """Make vectors of the codes of prepared patients, from the train split, and write them with the codes.

    patients (Path): a folder that `clinbert ehr prepare` or `clinbert ehr cohort` wrote.
    out (Path): folder for codes.json and vectors.safetensors; an earlier one is replaced.
    width (int): of the vectors; window (int): how many visits before and behind count as near.
    seed (int): of the decomposition's start.
    RETURNS (int): codes with a vector of their own; others are near nothing, or near all alike, and have zeros.
    RAISES (ClinbertError): if the patients cannot be read, or nothing is near anything.
    """
    from safetensors.numpy import save_file

    manifest = read_manifest(patients)
    check_files(patients, manifest)
    codes = read_codes(patients)
    counts = sparse.csr_array((len(codes), len(codes)), dtype=np.float64)
    for shard in manifest.split("train"):
        for batch in _batches(patients / shard.name):
            counts = counts + count_near(batch, len(codes), window)
    known = np.flatnonzero(counts.sum(axis=1) > 0)
    table = np.zeros((len(codes), width), dtype=np.float32)
    if len(known):
        table[known] = decompose(associate(counts[known][:, known]), width, seed)
    found = int(table.any(axis=1).sum())
    if not found:
        raise ClinbertError(
            f"{patients} has no two codes near each other more than by chance in the train split: prepare more patients"
        )
    with whole_folder(out, (CODES, VECTORS)) as folder:
        (folder / CODES).write_bytes((patients / CODES).read_bytes())
        save_file({TABLE: table}, folder / VECTORS)
    return found


def count_near(patients: pa.RecordBatch, codes: int, window: int) -> sparse.csr_array:
    """Count how often codes stand near each other.

    patients (RecordBatch): of SEQUENCES, with `input_ids` and `visit`.
    codes (int): of the vocabulary; window (int): visits before and behind.
    RETURNS (csr_array): counts, shape (codes, codes), symmetric; special ids are not counted.
    """
    ids, visits = (patients.column(name).flatten().to_numpy(zero_copy_only=False) for name in ("input_ids", "visit"))
    lengths = patients.column("input_ids").value_lengths().to_numpy(zero_copy_only=False)
    people = np.repeat(np.arange(len(lengths)), lengths)
    # Visits of all patients get numbers, with so wide a gap between patients that none is near another's.
    numbers = people * (int(visits.max(initial=0)) + window + 1) + visits
    real = ids >= len(SPECIALS)
    shape = (int(numbers.max(initial=0)) + 1, codes)
    has = sparse.csr_array((np.ones(real.sum()), (numbers[real], ids[real])), shape=shape)
    has.data[:] = 1.0
    near = has.T @ has
    near.setdiag(0.0)
    for step in range(1, window + 1):
        behind = has[:-step].T @ has[step:]
        near = near + behind + behind.T
    return sparse.csr_array(near)


def associate(counts: sparse.csr_array) -> sparse.csr_array:
    """Give the positive pointwise mutual information of counts, shape as theirs."""
    total, of_code = counts.sum(), counts.sum(axis=1)
    pairs = counts.tocoo()
    there = pairs.data > 0
    rows, columns, data = pairs.row[there], pairs.col[there], pairs.data[there]
    mutual = np.maximum(np.log(data * total / (of_code[rows] * of_code[columns])), 0.0)
    return sparse.csr_array((mutual, (rows, columns)), shape=counts.shape)


def decompose(matrix: sparse.csr_array, width: int, seed: int) -> np.ndarray:
    """Reduce a matrix to vectors: singular vectors times the roots of their values, each row of unit length.

    matrix (csr_array): shape (n, n); width (int): of the vectors, filled with zeros beyond n - 1; seed (int): of the
        start.
    RETURNS (ndarray): float32 of shape (n, width).
    """
    table = np.zeros((matrix.shape[0], width), dtype=np.float32)
    rank = min(width, matrix.shape[0] - 1)
    # The solver starts no search in a matrix without entries; nothing is then told from anything.
    if not rank or not matrix.count_nonzero():
        return table
    left, values, _ = svds(matrix, k=rank, v0=np.random.default_rng(seed).normal(size=matrix.shape[0]))
    # Signs of singular vectors are free: the largest entry of each is positive.
    left *= np.sign(left[np.abs(left).argmax(axis=0), np.arange(rank)])
    vectors = (left * np.sqrt(values))[:, ::-1]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    table[:, :rank] = vectors / np.where(lengths > 0, lengths, 1.0)
    return table


def _batches(shard: Path) -> Iterator[Any]:
    with pq.ParquetFile(shard) as table:
        yield from table.iter_batches(BATCH, columns=["input_ids", "visit"])
