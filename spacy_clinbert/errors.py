"""The error that users see: one sentence that names the file, the record and what to do, never a note's text."""


class ClinbertError(ValueError):
    """Input or setting that cannot be used; the command line prints its message and ends with status 1."""
