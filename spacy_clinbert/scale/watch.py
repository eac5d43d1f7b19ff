"""A journal of what a process is at: a note that ends its process again and again is told from those beside it."""

import json
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, Tuple
from uuid import uuid4

import pyarrow as pa

from ..corpora.notes import Rejected
from ..errors import ClinbertError
from .batches import slices
from .made import put

# Processes that may end at a note before it is left out; the first time, its whole batch was under way.
TRIES = 3
# Stands for the time at no note, when the pipeline is loaded and notes are read.
AT_NONE = (-1, 0)


class Watch:
    """Follows the notes of a part over all the processes that try it, one after the other.

    An error of Python is no end of a process: of those the pipeline's own handling tells the note.

    journal (Path): a small file that outlives the process; it names positions, no text.
    RAISES (ClinbertError): if so many processes ended at no note; then they are counted anew.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._ended: Counter[int] = Counter()
        entry = _read(journal)
        self._ended.update({int(position): times for position, times in entry["ended"].items()})
        # What the process was at when it ended, if it did.
        self._ended.update(range(*entry["at"]))
        if self._ended[AT_NONE[0]] >= TRIES:
            # Else the next run would end here, whatever has been changed for it.
            del self._ended[AT_NONE[0]]
            self._note(None)
            raise ClinbertError(
                f"the system ended {TRIES} processes while the pipeline was loaded or notes were read, most often for"
                " want of memory: run again with fewer workers"
            )

    @contextmanager
    def over(
        self, batches: Iterable[pa.RecordBatch], batch_size: int, on_reject: Callable[[Rejected], None]
    ) -> Iterator[Iterator[pa.RecordBatch]]:
        """Hand out notes batch by batch, and note down each before; at the end of the block nothing is under way.

        batches (Iterable[pa.RecordBatch]): the notes of the part, always the same.
        batch_size (int): notes in a batch that is handed out, at most.
        on_reject (Callable[[Rejected], None]): called with each note that ended too many processes.
        YIELDS (Iterator[pa.RecordBatch]): the others, those that were under way when a process ended alone.
        """
        self._note(AT_NONE)
        try:
            yield self._hand_out(batches, batch_size, on_reject)
        finally:
            self._note(None)

    def _hand_out(
        self, batches: Iterable[pa.RecordBatch], batch_size: int, on_reject: Callable[[Rejected], None]
    ) -> Iterator[pa.RecordBatch]:
        position = 0
        for batch in batches:
            for part in slices(batch, batch_size):
                suspect = any(position + row in self._ended for row in range(part.num_rows))
                for notes in slices(part, 1) if suspect else (part,):
                    times = self._ended[position]
                    if times < TRIES:
                        self._note((position, position + notes.num_rows))
                        yield notes
                    else:
                        reason = f"the system ended {times} processes that worked at it, most often for want of memory"
                        on_reject(Rejected(notes["note_id"][0].as_py(), reason))
                    position += notes.num_rows
            # What ends a process that reads on is no fault of the notes before.
            self._note(AT_NONE)

    def _note(self, at: Optional[Tuple[int, int]]) -> None:
        _write(self._journal, {"ended": self._ended, "at": at or (0, 0)})


def forgive(work: Path) -> None:
    """Let the journals forget what processes are at that end because their job does.

    work (Path): the folder of the journals, in which no process works any more.
    """
    for journal in work.glob("*.journal"):
        _write(journal, {**_read(journal), "at": (0, 0)})


def _read(journal: Path) -> Dict[str, Any]:
    try:
        return json.loads(journal.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        # None yet, or torn where the power went.
        return {"ended": {}, "at": (0, 0)}


def _write(journal: Path, entry: Dict[str, Any]) -> None:
    part = journal.with_name(f"{uuid4().hex}.part")
    part.write_text(json.dumps(entry), encoding="utf-8")
    put(part, journal)
