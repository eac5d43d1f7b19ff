"""What a worker does with a part: annotates its notes into one file, whole or not at all."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List

from ..corpora.notes import Rejected
from ..errors import ClinbertError
from .files import table_writer
from .made import make
from .parts import Part
from .schemas import TABLE_SCHEMA
from .tally import keep_annotated
from .watch import Watch


@dataclass(frozen=True)
class AnnotatePart:
    """Annotates parts, each into OUT/part-0000000.parquet, with its record in the work folder.

    out (Path), work (Path): the folders, which all workers see under these names.
    model (str): folder of a saved pipeline, or name of an installed one.
    batch_size (int): notes that go through the pipeline together.
    feeders (int): processes that run tokenizer and rules ahead; 0 for none.
    """

    out: Path
    work: Path
    model: str
    batch_size: int
    feeders: int = 0

    def __call__(self, part: Part) -> Dict[str, Any]:
        """Give the record of the part, made before or now: its file, its counts, its rejected notes."""
        target = self.out / f"part-{part.number:07}.parquet"
        record = make(self.work, target, lambda path: self._write(path, part))
        if record["digest"] != part.digest:
            raise ClinbertError(
                f"{target} was made of other notes than the source has now: give another folder, or --replace it"
            )
        return record

    def _write(self, path: Path, part: Part) -> Dict[str, Any]:
        # Here, since the driver needs no torch.
        from .annotate import annotate_batches

        rejected: List[Rejected] = []
        counts: Counter[str] = Counter()
        # Of these notes alone: where the source has changed, others stand at the places that it counts.
        journal = self.work / f"part-{part.number:07}.{part.digest[:16]}.journal"
        batches = part.batches(rejected.append)
        if self.feeders:
            from .feeder import feed

            batches = feed(batches, self.model, self.feeders, self.batch_size)
        with (
            table_writer(path, TABLE_SCHEMA) as writer,
            Watch(journal).over(batches, self.batch_size, rejected.append) as notes,
        ):
            for batch in annotate_batches(notes, self.model, self.batch_size):
                writer.write(keep_annotated(batch, counts, rejected.append))
        counts["rejected"] = len(rejected)
        return {"rows": counts["notes"], "digest": part.digest, "counts": counts, "rejected": rejected}
