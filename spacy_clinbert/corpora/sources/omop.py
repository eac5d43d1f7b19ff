"""The NOTE table of the OMOP Common Data Model, as a file or in the folder of all tables.

A note's category is its class: `note_class_concept_id`, which the model requires; `note_title` where a table lacks it
(https://ohdsi.github.io/CommonDataModel/cdm54.html#note).
"""

from typing import Dict, Iterator

from ..notes import Note, read_table
from ..places import AnyPath, place
from ..tables import Columns
from .forms import Form, Request, has_columns, table_files

COLUMNS = Columns(("note_id",), ("note_text",), ("person_id",), ("note_class_concept_id", "note_title"))


def _recognises(source: str) -> bool:
    table = next(iter(table_files(source, ["note"])), source)
    return has_columns(str(table), "note_id", "person_id", "note_text")


def tables(source: str) -> Dict[str, AnyPath]:
    """Give the table of a source, under no name since it is the only one."""
    return {"": next(iter(table_files(source, ["note"])), place(source))}


def _read(request: Request) -> Iterator[Note]:
    return read_table(tables(request.source)[""], request.columns(COLUMNS), request.on_reject)


FORM = Form("omop", "a NOTE table with person_id and note_text, or its folder", _recognises, _read)
