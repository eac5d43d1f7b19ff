"""What a form of notes is, and what is asked of it."""

from typing import Callable, FrozenSet, Iterator, List, NamedTuple, Optional

from ..notes import Note, Rejected
from ..places import AnyPath, place, readable
from ..tables import SUFFIXES, Columns, column_names


class Request(NamedTuple):
    """What a form is asked to read.

    source (str): a file, a folder, or the address of one or of a database.
    on_reject (Callable[[Rejected], None]): to call with each row that gives no note.
    id_column (Optional[str]): the column of the note ids, where it is not the form's own.
    text_column (Optional[str]): the column of the texts, where it is not the form's own.
    keep_errors (bool): read the notes that ISERROR marks; else they are rejected.
    categories (FrozenSet[str]): the `normal` categories to take; none for all. A form need not leave out the others.
    """

    source: str
    on_reject: Callable[[Rejected], None]
    id_column: Optional[str]
    text_column: Optional[str]
    keep_errors: bool
    categories: FrozenSet[str]

    def columns(self, columns: Columns) -> Columns:
        """Fit the columns of a form to what is asked.

        columns (Columns): those of the form.
        RETURNS (Columns): with the named ones, and without ISERROR where it shall not be looked at.
        """
        return columns.named(self.id_column, self.text_column)._replace(error=() if self.keep_errors else columns.error)


class Form(NamedTuple):
    """A form in which notes come.

    name (str): its name.
    about (str): what it is recognised by, in a few words.
    recognises (Callable[[str], bool]): whether a source is of this form.
    read (Callable[[Request], Iterator[Note]]): reads it as a stream.
    has_columns (bool): whether the columns of ids and texts can be named.
    """

    name: str
    about: str
    recognises: Callable[[str], bool]
    read: Callable[[Request], Iterator[Note]]
    has_columns: bool = True


def normal(category: str) -> str:
    """Write a category as categories are compared: MIMIC-III has 'Physician ' with a blank.

    category (str): as a source or a user gives it.
    RETURNS (str): without case and blanks around it; an underscore is a blank, as in MediaWiki's titles.
    """
    return " ".join(category.replace("_", " ").split()).casefold()


def table_files(source: str, names: List[str]) -> List[AnyPath]:
    """Find tables by their names, in a folder or as the source itself.

    source (str): a file, or a folder that holds them.
    names (List[str]): the names without their suffixes, in lower case.
    RETURNS (List[AnyPath]): the tables, at most one for each name, in the order of the names.
    """
    folder = place(source)
    with readable(folder):
        files: List[AnyPath] = sorted(folder.iterdir(), key=str) if folder.is_dir() else [folder]
        named = {path.name.lower(): path for path in files}
        candidates = ([named[name + end] for end in SUFFIXES if name + end in named] for name in names)
        found = [next((path for path in paths if path.is_file()), None) for paths in candidates]
    return [path for path in found if path]


def has_columns(source: str, *names: str) -> bool:
    """Tell whether a file is a table with all these columns.

    source (str): a path, of anything.
    names (str): the columns, in lower case.
    RETURNS (bool): whether it is.
    RAISES (ClinbertError): if it is a table that cannot be read.
    """
    path = place(source)
    if not path.is_file() or not path.name.lower().endswith(SUFFIXES):
        return False
    return {name.lower() for name in column_names(path)}.issuperset(names)
