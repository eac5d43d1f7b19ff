"""The columns of a table of notes, and how they are found among those that a table has."""

import re
from typing import Any, Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..errors import ClinbertError

# A row's cells in the order of `Columns`, None for a missing one, or why the row cannot be read.
Row = Union[List[Any], Tuple[Any, ...], str]


class Columns(NamedTuple):
    """The columns of a table of notes: for each, names of which the first that is there counts, in any case.

    MIMIC-III's NOTEEVENTS has ROW_ID and TEXT, MIMIC-IV's discharge and radiology tables note_id and text.

    note_id (Sequence[str]): note ids; there must be one.
    text (Sequence[str]): texts; there must be one.
    patient (Sequence[str]): ids of patients.
    category (Sequence[str]): kinds of note.
    error (Sequence[str]): MIMIC-III's ISERROR; a row marked there is rejected.
    """

    note_id: Sequence[str] = ("ROW_ID", "note_id")
    text: Sequence[str] = ("TEXT",)
    patient: Sequence[str] = ()
    category: Sequence[str] = ()
    error: Sequence[str] = ()

    def named(self, id_column: Optional[str], text_column: Optional[str]) -> "Columns":
        """Put names that a user gives in the place of those looked for.

        id_column (Optional[str]): the column of the note ids.
        text_column (Optional[str]): the column of the texts.
        RETURNS (Columns): the columns with those names.
        """
        given = {"note_id": id_column, "text": text_column}
        return self._replace(**{field: (name,) for field, name in given.items() if name})


def find_columns(table: str, names: Sequence[str], columns: Columns) -> List[Optional[str]]:
    """Find the columns among the names that a table has.

    table (str): name of the table, for the error.
    names (Sequence[str]): the names of its columns.
    columns (Columns): the columns to look for.
    RETURNS (List[Optional[str]]): the name found for each of `Columns`, None for one that the table lacks.
    RAISES (ClinbertError): if there is no column of note ids or of texts.
    """
    must = [
        need_column(table, names, columns.note_id, "id_column"),
        need_column(table, names, columns.text, "text_column"),
    ]
    return [*must, *(find_column(names, wanted) for wanted in columns[2:])]


def find_column(names: Iterable[str], wanted: Sequence[str]) -> Optional[str]:
    """Find the first wanted name among the names, in the same case if there is one."""
    lowered = {name.lower(): name for name in names}
    return next((w if w in names else lowered[w.lower()] for w in wanted if w.lower() in lowered), None)


def need_column(table: str, names: Sequence[str], wanted: Sequence[str], option: str) -> str:
    """Find a column as `find_column` does; ClinbertError, which names the option, if there is none."""
    found = find_column(names, wanted)
    if found is None:
        # A table without header would give note text for names.
        safe = ", ".join(name if re.fullmatch(r"[\w.-]{1,40}", name) else "…" for name in names[:20]) or "none"
        raise ClinbertError(
            f"{table} has no column {' or '.join(wanted)} (its columns: {safe}): "
            f"name the right one with {option} (--{option.replace('_', '-')})"
        )
    return found
