"""Segments as plain text, as Google BERT's scripts read it: a sentence a line, a blank line behind each document."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from .export_settings import ExportSettings

# What a file name may not hold on one of the usual systems.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]+')
LONGEST_NAME = 80
UNNAMED = "notes"


def append_text(batches: Iterable[pa.RecordBatch], folder: Path, settings: ExportSettings) -> Counter[str]:
    """Append notes to text files, one file a category of notes, as ClinicalBERT's format_mimic_for_BERT.py makes them.

    batches (Iterable[pa.RecordBatch]): SEGMENTS.
    folder (Path): where the files lie.
    settings (ExportSettings): says whether a document is a note or a section.
    RETURNS (Counter[str]): sentences written, for each file name.
    """
    written: Counter[str] = Counter()
    for batch in batches:
        texts: dict[str, list[str]] = {}
        columns = (batch[name].to_pylist() for name in ("category", "sentences", "starts"))
        for category, sentences, starts in zip(*columns, strict=True):
            name = file_name(category)
            lines = texts.setdefault(name, [])
            for number, (sentence, start) in enumerate(zip(sentences, starts, strict=True)):
                if number and start and settings.document == "section":
                    lines.append("")
                lines.append(sentence)
            lines.append("")
            written[name] += len(sentences)
        # Opened anew for each batch: there may be more categories than a process may hold files open.
        for name, lines in texts.items():
            with (folder / name).open("a", encoding="utf-8", newline="\n") as file:
                file.writelines(f"{line}\n" for line in lines)
    return written


def file_name(category: str) -> str:
    """The name of the file for a category of notes; categories that differ in case or in unsafe characters share one.

    category (str): as the source gives it, such as `Nursing/other`; empty where it gives none.
    RETURNS (str): a name that every usual file system takes, such as `nursing-other.txt`.
    """
    stem = _UNSAFE.sub("-", " ".join(category.split()).lower())[:LONGEST_NAME].strip(". ")
    return f"{stem or UNNAMED}.txt"
