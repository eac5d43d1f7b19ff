"""Notes into segments: placeholders, sections, sentences and wordpieces, a row a note. No torch."""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from ..corpora.notes import Rejected, log_rejected
from ..rules import Section, find_placeholders, original_segments, split_sections, split_sentences
from .export_settings import ExportSettings
from .schemas import SEGMENTS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

KINDS = ("name", "date", "age", "location", "hospital", "phone", "id", "other")
# What stands for a placeholder of each kind where `placeholders` is "tag": one piece each, never masked.
TAGS = {kind: f"[{kind.upper()}]" for kind in KINDS}

# Sentences that go through the tokenizer together, which takes some kilobytes for each.
TOKENIZED = 1000


class Segment(NamedTuple):
    """A sentence: its text on one line, whether it is the first of its section, and the section's category."""

    text: str
    starts: bool
    section: str


class _Lost(Exception):
    """A note on which ClinicalBERT's splitter died."""


def segment_batches(
    batches: Iterable[pa.RecordBatch],
    settings: ExportSettings,
    tokenizer: "Tokenizer | None" = None,
    on_reject: Callable[[Rejected], None] = log_rejected,
) -> Iterator[pa.RecordBatch]:
    """Split notes into sentences, and these into wordpieces.

    batches (Iterable[pa.RecordBatch]): NOTES.
    settings (ExportSettings): what becomes of placeholders, and how sections and sentences are found.
    tokenizer (Tokenizer): as `read_wordpieces` gives it; with None the pieces are left empty.
    on_reject (Callable[[Rejected], None]): called with each note that has no row: one without a sentence, and one that
        ClinicalBERT's own splitter lost.
    YIELDS (pa.RecordBatch): SEGMENTS, a row for each other note, in order.
    RAISES (ClinbertError): if the model of the sentence backend is not installed.
    """
    for batch in batches:
        notes: list[list[Segment]] = []
        for note_id, text in zip(batch["note_id"].to_pylist(), batch["text"].to_pylist(), strict=True):
            try:
                notes.append(list(note_segments(text, settings)))
                if not notes[-1]:
                    on_reject(Rejected(note_id, "it has no sentence"))
            except _Lost:
                notes.append([])
                on_reject(Rejected(note_id, "ClinicalBERT's splitter dies on it: the original lost it, too"))
        kept = batch.filter(pa.array([bool(segments) for segments in notes], pa.bool_()))
        yield _table(kept, [segments for segments in notes if segments], tokenizer)


def note_segments(text: str, settings: ExportSettings) -> Iterator[Segment]:
    """Split one note.

    text (str): the note.
    settings (ExportSettings): as for `segment_batches`.
    YIELDS (Segment): its sentences, in which every run of blanks and line ends is one blank. ClinicalBERT put blanks
        for line ends alone (`process_text` of its format_mimic_for_BERT.py); the wordpieces are the same.
    """
    for content, sections in _parts(text, settings):
        opened = {section.start: section.category for section in sections}
        starts, category = False, ""
        for start, end in split_sentences(content, sections, settings.sentences):
            if start in opened:
                starts, category = True, opened[start]
            if line := _line(content[start:end], settings):
                yield Segment(line, starts, category)
                starts = False


def _parts(text: str, settings: ExportSettings) -> Iterator[tuple[str, list[Section]]]:
    """The texts in which sentences are looked for, each with the sections that tile it."""
    if settings.sections == "clinical":
        yield text, split_sections(text)
    elif settings.sections == "none":
        yield text, [_whole(text)]
    else:
        try:
            segments = original_segments(text, fixed=settings.sections == "original-fixed")
        except ValueError:
            raise _Lost from None
        yield from ((segment, [_whole(segment)]) for segment in segments)


def _whole(text: str) -> Section:
    return Section(0, len(text), 0, 0, "", "", 1)


def _line(sentence: str, settings: ExportSettings) -> str:
    if settings.placeholders != "keep":
        tag = settings.placeholders == "tag"
        for start, end, kind in reversed(find_placeholders(sentence)):
            sentence = sentence[:start] + (TAGS[kind] if tag else " ") + sentence[end:]
    return " ".join(sentence.split())


def _table(batch: pa.RecordBatch, notes: list[list[Segment]], tokenizer: "Tokenizer | None") -> pa.RecordBatch:
    segments = list(chain.from_iterable(notes))
    bounds = _bounds(map(len, notes))
    texts, starts, sections = zip(*segments, strict=True) if segments else ((), (), ())
    pieces = _pieces(texts, tokenizer) if tokenizer else _lists([0] * (len(texts) + 1), pa.array([], pa.int32()))
    columns = (
        pa.array(texts, pa.string()),
        pieces,
        pa.array(starts, pa.bool_()),
        pa.array(sections, pa.string()),
    )
    named = [batch[name] for name in ("note_id", "patient", "category")]
    return pa.RecordBatch.from_arrays([*named, *(_lists(bounds, column) for column in columns)], schema=SEGMENTS)


def _pieces(texts: tuple[str, ...], tokenizer: "Tokenizer") -> pa.ListArray:
    ids: list[np.ndarray] = [np.empty(0, np.int32)]
    lengths: list[int] = []
    for start in range(0, len(texts), TOKENIZED):
        encodings = tokenizer.encode_batch_fast(list(texts[start : start + TOKENIZED]), add_special_tokens=False)
        found = [encoding.ids for encoding in encodings]
        lengths += map(len, found)
        ids.append(np.fromiter(chain.from_iterable(found), np.int32))
    return _lists(_bounds(lengths), pa.array(np.concatenate(ids)))


def _bounds(lengths: Iterable[int]) -> list[int]:
    return list(accumulate(lengths, initial=0))


def _lists(bounds: list[int], values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), values)
