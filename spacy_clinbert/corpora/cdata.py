"""Writes notes in XML whose annotations stand beside the text, the form that `standoff.py` reads."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Dict, Tuple

from ..errors import ClinbertError
from .records import Mention, Record

# An element's name and attributes.
Tag = Tuple[str, Mapping[str, str]]
# What XML 1.0 (section 2.2) cannot hold, and the carriage return, which it reads as a line feed (section 2.11).
_FORBIDDEN = re.compile("[^\t\n\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|]]>")
_ESCAPES = {"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def write(records: Iterable[Record], folder: Path, root: str, tags: Callable[[Record], Iterable[Tag]]) -> None:
    """Write each record as a file, named by the last part of its id.

    records (Iterable[Record]): the records.
    folder (Path): where the files go.
    root (str): name of the outermost element.
    tags (Callable[[Record], Iterable[Tag]]): the annotations of a record.
    RAISES (ClinbertError): if the form cannot hold a record, or two records have one name.
    """
    names = set()
    for record in records:
        name = record.id.rpartition("/")[2]
        if name in names:
            raise ClinbertError(f"{record.id}: another record is named {name}: give each a name of its own")
        names.add(name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.xml").write_bytes(to_xml(record, root, tags(record)).encode("utf-8"))


def to_xml(record: Record, root: str, tags: Iterable[Tag]) -> str:
    """Print a record.

    record (Record): the record.
    root (str): name of the outermost element.
    tags (Iterable[Tag]): its annotations.
    RETURNS (str): the file's content.
    RAISES (ClinbertError): if its text cannot stand in a CDATA section, or an annotation in XML.
    """
    lines = [
        f"<{name} {' '.join(f'{key}={_quoted(value)}' for key, value in attributes.items())} />\n"
        for name, attributes in tags
    ]
    for part in (record.text, *lines):
        at = _FORBIDDEN.search(part)
        if at is not None:
            where = f"character {at.start()} of its text" if part is record.text else "an annotation"
            raise ClinbertError(
                f"{record.id}: {where} is a carriage return, a control character or the start of `]]>`, which this XML"
                f" cannot hold: remove it"
            )
    return (
        f'<?xml version="1.0" encoding="UTF-8" ?>\n<{root}>\n<TEXT><![CDATA[{record.text}]]></TEXT>\n'
        f"<TAGS>\n{''.join(lines)}</TAGS>\n</{root}>\n"
    )


def placed(record: Record, mention: Mention, name: str) -> Dict[str, str]:
    """The attributes that place a mention.

    record (Record), mention (Mention): the record and one of its mentions.
    name (str): its id in the file.
    RETURNS (Dict[str, str]): id, start, end and text.
    RAISES (ClinbertError): if the mention has fragments.
    """
    if len(mention.fragments) > 1:
        raise ClinbertError(
            f"{record.id}, mention {mention.fragments[0][0]}: offsets in XML hold only unbroken mentions"
        )
    start, end = mention.fragments[0]
    return {"id": name, "start": str(start), "end": str(end), "text": " ".join(record.text[start:end].split())}


def refuse(record: Record, form: str, *fields: str) -> None:
    """Refuse a record that has what a form cannot hold.

    record (Record): the record.
    form (str): name of the form.
    fields (str): names of fields of the record that must be empty.
    RAISES (ClinbertError): if one is not.
    """
    for name in fields:
        if getattr(record, name):
            raise ClinbertError(f"{record.id}: {form} cannot hold {name}: choose another form")


def _quoted(value: str) -> str:
    return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'
