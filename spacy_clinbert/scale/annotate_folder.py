"""Annotation into a folder of parts: on any engine, in any number of processes, finished by a rerun if interrupted."""

import hashlib
import json
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, cast

from tqdm import tqdm

from ..corpora.notes import Rejected
from ..corpora.places import place
from ..corpora.sources import recognise, shown
from ..errors import ClinbertError
from .annotate_part import AnnotatePart
from .annotations import MANIFEST, REJECTED, Annotations, check_parts, new_plan, open_folder, write_manifest
from .engines import choose
from .made import Shard, describe, put, refusals
from .parts import keep_apart, parts_of
from .spread import spread
from .tally import COUNTS
from .watch import forgive

# Characters of notes in a part: about a minute of work for BERT-base on a core.
PART_SIZE = 1_000_000
# A note that ends its process ends three (`watch.TRIES`) before it is left out, and a part may hold many.
TRIES = 100


def annotate_folder(
    source: str,
    out: str,
    model: str,
    *,
    form: Optional[str] = None,
    id_column: Optional[str] = None,
    text_column: Optional[str] = None,
    batch_size: int = 64,
    part_size: int = PART_SIZE,
    engine: str = "local",
    workers: int = 1,
    gpus: bool = False,
    feeders: int = 0,
    replace: bool = False,
) -> Annotations:
    """Annotate notes into a folder, or finish what was interrupted; a whole one of the same notes is checked.

    source (str): what `read_source` reads; form, id_column, text_column (Optional[str]): as there.
    out (str): the folder, on any filesystem that fsspec opens and all workers see: part-0000000.parquet and so on.
    model (str): folder of a saved pipeline, which all workers see, or name of one that all have installed.
    batch_size (int): notes that go through the pipeline together.
    part_size (int): characters of notes in a part.
    engine (str), workers (int), gpus (bool): as `engines.choose`; the result does not depend on them.
    feeders (int): processes beside each of the workers that run tokenizer and rules, so that a GPU need not wait.
    replace (bool): remove earlier annotations in `out` first.
    RETURNS (Annotations): what was made.
    RAISES (ClinbertError): if the notes, the pipeline or `out` cannot be used. What is finished stays.
    """
    run = choose(engine, workers, gpus)
    plan = new_plan(Path(shown(source)).name, model, part_size)
    folder = cast(Path, place(out))
    form = form or recognise(source)
    keep_apart(source, form, folder)
    parts = parts_of(source, form, id_column, text_column, part_size)
    with open_folder(folder, plan, replace) as (work, whole):
        if whole:
            _check(folder, whole, [part.digest for part in parts])
            return whole
        task = AnnotatePart(folder, work, model, batch_size, feeders)
        counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
        shards: List[Shard] = []
        digest = hashlib.sha256()
        with refusals(folder), _forgiving(work), (work / REJECTED).open("w", encoding="utf-8") as rejects:
            for record in _followed(spread(task, parts, run, TRIES)):
                counts.update(record["counts"])
                shards.append(Shard(**record["file"]))
                digest.update(record["digest"].encode())
                for rejected in record["rejected"]:
                    rejects.write(json.dumps(Rejected(*rejected)._asdict(), ensure_ascii=False) + "\n")
        with refusals(folder):
            check_parts(folder, shards)
            put(work / REJECTED, folder / REJECTED)
            made = {"counts": dict(counts), "parts": shards, "digest": digest.hexdigest()}
            manifest = plan.model_copy(update=made)
            write_manifest(manifest, work, folder / MANIFEST)
    return manifest


def _followed(records: Iterator[Dict[str, Any]]) -> Iterator[Dict[str, Any]]:
    with tqdm(unit=" notes", disable=None) as progress:
        for parts, record in enumerate(records, 1):
            yield record
            progress.update(record["rows"])
            progress.set_postfix(parts=f"{parts:,}", refresh=False)


@contextmanager
def _forgiving(work: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # Engines end the processes that are still at work.
        with suppress(Exception):
            forgive(work)
        raise


def _check(folder: Path, whole: Annotations, digests: List[str]) -> None:
    """Check a whole folder against the source and against its own manifest."""
    if hashlib.sha256("".join(digests).encode()).hexdigest() != whole.digest:
        raise ClinbertError(f"{folder} holds annotations of other notes: give another folder, or --replace them")
    for shard in whole.parts:
        path = folder / shard.name
        if not path.exists() or describe(path, shard.rows) != shard:
            raise ClinbertError(f"{path} is missing or damaged: copy it again, or annotate again with --replace")
    check_parts(folder, whole.parts)
