"""Raw notes into sharded pretraining examples: in parallel, in bounded memory, resumable, the same bytes each time.

The source is read twice: once to know its notes, once to split them. The work unit is a chunk of notes, by the order of
the source. Stage A splits each chunk into segments; when all are there, the pool of random segments is drawn from them;
stage B makes a shard of each chunk. What is finished is never made again, and the manifest comes last.
"""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from itertools import chain, islice
from pathlib import Path
from typing import Any, Optional

import pyarrow as pa
from tqdm import tqdm

from ..corpora.notes import Note, Rejected
from ..corpora.sources import read_source, recognise, shown
from ..errors import ClinbertError
from ..scale.engines import choose
from ..scale.made import Shard, describe, is_made, make, read_record, refusals
from ..scale.spread import Run, spread
from .export_settings import ExportSettings
from .export_tokenizer import fingerprint, load_tokenizer
from .manifest import MANIFEST, Manifest, find_change, read_manifest, verify_shards, write_manifest
from .pieces import PieceIds, piece_ids
from .pool import candidates, merge
from .schemas import NOTES
from .stages import POOL, Blocker, Chunk, Job, Segmenter, Sharder
from .survey import Survey, survey
from .text_writer import append_text
from .work import REJECTED, TOKENIZER, clear, work_folder

PLAN = "export.json"
READING = "reading.rejected.jsonl"
LIBRARIES = ("spacy-clinbert", "pysbd", "scispacy", "tokenizers", "pyarrow")


def export(
    source: "str | Path",
    out: Path,
    settings: ExportSettings,
    *,
    recipe: str = "",
    form: Optional[str] = None,
    id_column: Optional[str] = None,
    text_column: Optional[str] = None,
    workers: int = 1,
    engine: str = "local",
    replace: bool = False,
) -> Manifest:
    """Make an export, or finish one that was interrupted; a whole one of the same notes and settings is checked.

    source (str | Path): what `read_source` reads; form, id_column, text_column (str): as there.
    out (Path): folder of the export: its shards, tokenizer, rejected notes and manifest.
    settings (ExportSettings): the settings.
    recipe (str): the name of the recipe they come from, for the manifest.
    workers (int): processes; engine (str): what runs them, as `scale.engines.choose` takes both. The result depends on
        neither. On another engine than "local" all its machines must see `out` under the same path.
    replace (bool): remove an earlier export in `out` first, once the notes have been read.
    RETURNS (Manifest): what was made.
    RAISES (ClinbertError): if the notes, the tokenizer or `out` cannot be used, or `out` holds an export of other notes
        or settings. What is finished stays for the next call.
    """
    read = partial(
        read_source,
        source,
        form,
        id_column=id_column,
        text_column=text_column,
        keep_errors=settings.errors == "keep",
        categories=settings.categories,
    )
    run = choose(engine, workers)
    _keep_apart(source, form, out)
    with work_folder(out) as work:
        ids = _prepare_tokenizer(settings, work)
        found = _survey(read, settings, work)
        plan = Manifest(
            recipe=recipe,
            source=Path(shown(source)).name,
            digest=found.digest,
            settings=settings,
            fingerprint=fingerprint(work / TOKENIZER) if ids else "",
            versions={library: version(library) for library in LIBRARIES},
            counts={},
            shards=[],
        )
        if replace:
            with refusals(out):
                clear(out, (TOKENIZER, READING))
        whole = _resume(out, work, plan)
        if whole:
            return whole
        job = Job(out, work, settings, ids)
        counts = _make_segments(job, read, found, run)
        made, shards = _make_texts(job, found) if settings.form == "text" else _make_shards(job, found, run)
        if not any(shard.rows for shard in shards):
            raise ClinbertError("the notes are too few or too short to give anything: check their texts")
        left_out = {"other categories": found.others} if settings.categories else {}
        listed = {"notes": counts["notes"], "rejected": _write_rejected(job, found), **left_out, **counts, **made}
        with refusals(out):
            if ids:
                shutil.rmtree(out / TOKENIZER, ignore_errors=True)
                (work / TOKENIZER).replace(out / TOKENIZER)
            manifest = plan.model_copy(update={"counts": listed, "shards": shards})
            write_manifest(manifest, work / MANIFEST)
            (work / MANIFEST).replace(out / MANIFEST)
        return manifest


def _keep_apart(source: "str | Path", form: Optional[str], out: Path) -> None:
    """Refuse to write where the notes are read: texts and vocabularies would be taken for notes."""
    if not Path(source).is_dir():
        return
    folder, place = Path(source).resolve(), out.resolve()
    inside = place.is_relative_to(folder) and (form or recognise(source)) in ("txt", "folder")
    if place == folder or inside:
        raise ClinbertError(f"output {out} lies in the source: give a folder outside {source}")


def _prepare_tokenizer(settings: ExportSettings, work: Path) -> "PieceIds | None":
    if settings.form == "text":
        return None
    tokenizer = load_tokenizer(settings)
    with refusals(work / TOKENIZER):
        try:
            tokenizer.save_pretrained(work / TOKENIZER)
        except OSError:
            raise
        except Exception as error:
            # What the system says to the tokenizers library comes as no OSError.
            raise OSError(str(error)) from None
    return piece_ids(tokenizer)


def _survey(read: Callable[..., Iterator[Note]], settings: ExportSettings, work: Path) -> Survey:
    rejects, others = work / READING, Counter[str]()
    with refusals(rejects), rejects.open("w", encoding="utf-8") as file:
        notes = read(
            on_reject=lambda rejected: file.write(_line(rejected)),
            on_other=lambda note: others.update([note.category]),
        )
        found = survey(tqdm(notes, desc="reading", unit=" notes", disable=None), settings.copies != "keep")
    if not found.notes:
        raise ClinbertError("the source has no note that can be read: check its form and its columns")
    return found._replace(others=others.total())


def _resume(out: Path, work: Path, plan: Manifest) -> Optional[Manifest]:
    """Give the export if it is whole; else note or compare what is to be made."""
    earlier = read_manifest(out) if (out / MANIFEST).exists() else None
    begun = work / PLAN
    if not earlier and not begun.exists():
        with refusals(begun):
            write_manifest(plan, work / "plan.part")
            (work / "plan.part").replace(begun)
        return None
    change = find_change(earlier or read_manifest(work, PLAN), plan)
    if change:
        raise ClinbertError(f"{out} holds an export that differs ({change}): give another folder, or --replace it")
    if earlier:
        verify_shards(out, earlier)
    return earlier


def _make_segments(job: Job, read: Callable[..., Iterator[Note]], found: Survey, run: Run) -> Counter[str]:
    """Stage A: the segments of all chunks, and what is in them."""
    counts = Counter({"copies": int(found.copies.sum())} if job.settings.copies != "keep" else {})
    chunks = _chunks(job, found)
    left = {number for number in chunks if not is_made(job.work, job.segments(number))}
    finished = (read_record(job.work, job.segments(number)) for number in chunks if number not in left)
    fresh = spread(Segmenter(job), _read_chunks(job, read, found, left), run) if left else ()
    with tqdm(total=found.notes, desc="segments", unit=" notes", disable=None) as bar:
        for record in chain(finished, fresh):
            counts.update(record["counts"])
            bar.set_postfix(words=f"{counts['words']:,}", refresh=False)
            bar.update(record["read"])
    return counts


def _chunks(job: Job, found: Survey) -> range:
    return range(-(-found.notes // job.settings.chunk))


def _read_chunks(job: Job, read: Callable[..., Iterator[Note]], found: Survey, wanted: set[int]) -> Iterator[Chunk]:
    notes, size = read(on_reject=_ignore), job.settings.chunk
    for number in _chunks(job, found):
        part = list(islice(notes, size))
        if len(part) < _size(job, found, number):
            raise ClinbertError("the source has lost notes since it was first read: export again with --replace")
        if number not in wanted:
            continue
        copies: list[str] = []
        if job.settings.copies == "drop":
            flags = found.copies[number * size :][: len(part)]
            copies = [note.note_id for note, copy in zip(part, flags, strict=True) if copy]
            part = [note for note, copy in zip(part, flags, strict=True) if not copy]
        yield Chunk(number, pa.RecordBatch.from_pylist([note._asdict() for note in part], NOTES), copies)


def _ignore(rejected: Rejected) -> None:
    """The survey has listed it."""


def _make_shards(job: Job, found: Survey, run: Run) -> tuple[Counter[str], list[Shard]]:
    """Stage B: the shards of all chunks, and what is in them."""
    chunks = _chunks(job, found)
    records: Iterable[dict[str, Any]]
    if job.settings.form == "blocks":
        records = map(Blocker(job), chunks)
    else:
        _make_pool(job, chunks)
        records = spread(Sharder(job), chunks, run)
    counts, shards = Counter[str](), []
    with tqdm(total=found.notes, desc=job.settings.form, unit=" notes", disable=None) as bar:
        for number, record in enumerate(records):
            counts.update(record["counts"])
            shards.append(Shard(**record["file"]))
            bar.set_postfix(**{name: f"{count:,}" for name, count in counts.items()}, refresh=False)
            bar.update(_size(job, found, number))
    return counts, shards


def _make_pool(job: Job, chunks: range) -> None:
    def write(path: Path) -> dict[str, Any]:
        batches = map(job.read_segments, tqdm(chunks, desc="pool", unit=" chunks", disable=None))
        pool = merge((candidates(batch, job.settings) for batch in batches), job.settings)
        pool.save(path)
        return {"rows": len(pool)}

    make(job.work, job.work / POOL, write)


def _make_texts(job: Job, found: Survey) -> tuple[Counter[str], list[Shard]]:
    """Stage B of text: one file a category, made anew by each call, as copying is quick."""
    texts, written = job.work / "texts", Counter[str]()
    with refusals(job.out), tqdm(total=found.notes, desc="text", unit=" notes", disable=None) as bar:
        shutil.rmtree(texts, ignore_errors=True)
        texts.mkdir()
        for number in _chunks(job, found):
            written.update(append_text([job.read_segments(number)], texts, job.settings))
            bar.update(_size(job, found, number))
        shards = [describe(texts / name, written[name]) for name in sorted(written)]
        for name in written:
            (texts / name).replace(job.out / name)
    return Counter[str](), shards


def _size(job: Job, found: Survey, number: int) -> int:
    return min(job.settings.chunk, found.notes - number * job.settings.chunk)


def _write_rejected(job: Job, found: Survey) -> int:
    """List the notes that are not in the export, those that could not be read first; give their number."""
    count, path = 0, job.work / REJECTED
    with refusals(path), path.open("w", encoding="utf-8") as file:
        with (job.work / READING).open(encoding="utf-8") as lines:
            for line in lines:
                file.write(line)
                count += 1
        for number in _chunks(job, found):
            for rejected in read_record(job.work, job.segments(number))["rejected"]:
                file.write(_line(Rejected(*rejected)))
                count += 1
    path.replace(job.out / REJECTED)
    return count


def _line(rejected: Rejected) -> str:
    return json.dumps(rejected._asdict(), ensure_ascii=False) + "\n"
