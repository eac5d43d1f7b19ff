"""A first pass over the notes of a source: how many there are, which notes they are, and which are copies."""

import hashlib
import json
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ..corpora.notes import Note


class Survey(NamedTuple):
    """What the notes of a source are.

    notes (int): notes read.
    digest (str): of their ids, patients, categories and texts, hexadecimal.
    copies (np.ndarray): for each note whether its text stands in an earlier one; empty where that was not asked.
    others (int): notes of categories that were not asked for; not among those read.
    """

    notes: int
    digest: str
    copies: np.ndarray
    others: int = 0


def survey(notes: Iterable[Note], find_copies: bool) -> Survey:
    """Read all notes once, so that a damaged source shows before hours of work, and a changed one at a resume.

    notes (Iterable[Note]): the notes.
    find_copies (bool): look for notes copied forward, by a hash of their words; 16 bytes a note.
    RETURNS (Survey): the count, the digest and the copies.
    """
    whole, texts, count = hashlib.blake2b(digest_size=16), bytearray(), 0
    for note in notes:
        count += 1
        whole.update(json.dumps(note, ensure_ascii=False).encode())
        if find_copies:
            texts += hashlib.blake2b(" ".join(note.text.split()).encode(), digest_size=16).digest()
    copies = np.ones(count if find_copies else 0, bool)
    first = np.unique(np.frombuffer(bytes(texts), "V16"), return_index=True)[1]
    copies[first] = False
    return Survey(count, whole.hexdigest(), copies)
