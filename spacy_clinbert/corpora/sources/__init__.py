"""Where notes come from: one row per form, one function that reads them all."""

from pathlib import Path
from typing import Callable, Iterator, Optional, Sequence, Union

from ...errors import ClinbertError
from ..notes import Note, Rejected, log_rejected
from ..places import place, plain, readable, shown
from . import folder, mediawiki, mimic3, mimic4, omop, postgres, table, txt
from .forms import Request, normal

# The first that recognises a source reads it; a table of any kind comes last.
FORMS = (
    postgres.FORM,
    mimic3.FORM,
    mimic4.FORM,
    omop.FORM,
    mediawiki.FORM,
    txt.FORM,
    folder.FORM,
    table.FORM,
)

__all__ = ["FORMS", "read_source", "recognise", "shown"]


def read_source(
    source: Union[str, Path],
    form: Optional[str] = None,
    on_reject: Callable[[Rejected], None] = log_rejected,
    *,
    id_column: Optional[str] = None,
    text_column: Optional[str] = None,
    keep_errors: bool = True,
    categories: Sequence[str] = (),
    on_other: Callable[[Note], None] = lambda note: None,
) -> Iterator[Note]:
    """Read notes from any source as a stream, always in the same order; memory does not grow with their number.

    source (Union[str, Path]): a file, a folder, the address of a table or a folder of tables on any filesystem that
        fsspec opens (`s3://bucket/notes.csv.gz`), or that of a PostgreSQL database; addresses are a `str`, as a `Path`
        would drop one of their slashes.
    form (Optional[str]): name of the form; by default `recognise` tells it.
    on_reject (Callable[[Rejected], None]): called with each row that gives no note; the rows after it are read.
    id_column (Optional[str]): the column of the note ids, upper or lower case alike; by default that of the form.
    text_column (Optional[str]): the column of the texts; by default that of the form.
    keep_errors (bool): keep the notes that MIMIC-III's ISERROR marks as errors, as ClinicalBERT did; else they are
        rejected.
    categories (Sequence[str]): the kinds of note to take, blanks around them and case aside; none for all.
    on_other (Callable[[Note], None]): called with each note of another category; a page of a MediaWiki dump that
        has none of them is no note.
    RETURNS (Iterator[Note]): the notes with their patients and categories, where the source tells them.
    RAISES (ClinbertError): an unknown form, a source that cannot be read, a missing column, no note of the
        categories.
    """
    name = form or recognise(source)
    chosen = next((row for row in FORMS if row.name == name), None)
    if chosen is None:
        raise ClinbertError(f"there is no form {name} of notes: give one of {', '.join(row.name for row in FORMS)}")
    if (id_column or text_column) and not chosen.has_columns:
        raise ClinbertError(f"the form {name} has no columns: leave out id_column and text_column")
    wanted = frozenset(map(normal, categories))
    request = Request(plain(source), on_reject, id_column, text_column, keep_errors, wanted)
    taken = False
    for note in chosen.read(request):
        if not wanted or normal(note.category) in wanted:
            taken = True
            yield note
        else:
            on_other(note)
    if wanted and not taken:
        raise ClinbertError(
            f"{shown(source)} has no note of the categories {', '.join(categories)}: give those that it names"
        )


def recognise(source: Union[str, Path]) -> str:
    """Tell the form of a source by its files and their columns.

    source (Union[str, Path]): a file, a folder, or the address of one or of a database.
    RETURNS (str): the name of its form.
    RAISES (ClinbertError): if there is no such file or folder, or it is of none of the forms.
    """
    address = plain(source)
    for form in FORMS:
        if form.recognises(address):
            return form.name
    path = place(address)
    with readable(path):
        exists = path.exists()
    if not exists:
        raise ClinbertError(f"{shown(source)}: no such file or folder: give a source of notes")
    known = "; ".join(f"{form.name} ({form.about})" for form in FORMS)
    raise ClinbertError(f"{shown(source)} is of no known form of notes: give one, or name its form: {known}")
