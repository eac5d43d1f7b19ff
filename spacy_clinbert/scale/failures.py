"""Errors of others in a sentence, without their messages, which may quote a note. No torch, no spaCy."""

from pathlib import Path
from traceback import extract_tb

from ..errors import ClinbertError


def failure(error: BaseException) -> str:
    """Say why a pipeline failed on a note, without the message, which may quote the note.

    error (BaseException): what a component raised.
    RETURNS (str): its type, with the file and line that raised it.
    """
    last = extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"


def tell(error: Exception) -> str:
    """Say in a sentence why work failed, without the message of an error that is not ours.

    error (Exception): what a task raised.
    RETURNS (str): the sentence.
    """
    if isinstance(error, ClinbertError):
        return str(error)
    return f"a worker failed ({failure(error)}): report this place; what is finished stays"
