"""Notes into windows of wordpieces: whole sentences packed up to a length, kept on disk."""

import hashlib
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..rules import split_sections, split_sentences

HELD_OUT_PERCENT = 5


def is_held_out(note_id: str) -> bool:
    """Whether a note is kept from training: 5 % of the notes, by a hash of the id, so the same ones in every run."""
    digest = hashlib.blake2b(note_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % 100 < HELD_OUT_PERCENT


def note_windows(text: str, tokenizer: Any, length: int) -> Iterator[list[int]]:
    """Pack the sentences of one note into windows.

    text (str): the note.
    tokenizer (PreTrainedTokenizerFast): the tokenizer.
    length (int): wordpieces in a window, specials included.
    YIELDS (list[int]): the pieces of one window with its specials; a longer sentence is cut, a window has one note.
    """
    sentences = [text[start:end] for start, end in split_sentences(text, split_sections(text))]
    room = length - tokenizer.num_special_tokens_to_add()
    window: list[int] = []
    for ids in tokenizer(sentences, add_special_tokens=False, verbose=False)["input_ids"] if sentences else []:
        for part in (ids[start : start + room] for start in range(0, len(ids), room)):
            if len(window) + len(part) > room:
                yield tokenizer.build_inputs_with_special_tokens(window)
                window = []
            window = window + part
    if window:
        yield tokenizer.build_inputs_with_special_tokens(window)


class Windows:
    """A dataset of windows, kept in a file without a name: they are note text, and vanish with the process.

    folder (Path): the folder on whose disk they are kept. Memory grows by eight bytes a window.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._ends = array("q", [0])

    def append(self, ids: list[int]) -> None:
        """Add the pieces of one window, specials included."""
        self._file.write(np.asarray(ids, dtype=np.int32).tobytes())
        self._ends.append(self._ends[-1] + len(ids))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> dict[str, list[int]]:
        start, end = self._ends[index], self._ends[index + 1]
        self._file.seek(start * np.int32().itemsize)
        ids = np.frombuffer(self._file.read((end - start) * np.int32().itemsize), dtype=np.int32)
        return {"input_ids": ids.tolist()}
