"""MIMIC-IV-Note: discharge.csv.gz and radiology.csv.gz, one of them or a folder with both.

The tables have the same columns (https://mimic.mit.edu/docs/iv/modules/note); the file is the category of its notes.
discharge_detail and radiology_detail beside them hold no notes.
"""

import os
from typing import Iterator, List

from ..notes import Note, read_table
from ..places import AnyPath, place
from ..tables import Columns
from .forms import Form, Request, table_files

KINDS = ["discharge", "radiology"]
COLUMNS = Columns(("note_id",), ("text",), ("subject_id",))


def _files(source: str) -> List[AnyPath]:
    # PhysioNet puts both into a folder `note`.
    return table_files(source, KINDS) or table_files(os.path.join(source, "note"), KINDS)


def _recognises(source: str) -> bool:
    return bool(_files(source))


def _read(request: Request) -> Iterator[Note]:
    for path in _files(request.source) or [place(request.source)]:
        category = path.name.lower().split(".")[0]
        for note in read_table(path, request.columns(COLUMNS), request.on_reject):
            yield note._replace(category=category)


FORM = Form("mimic4", "MIMIC-IV's discharge.csv.gz or radiology.csv.gz, or their folder", _recognises, _read)
