"""The catalogue of corpora: every form that `clinbert convert` reads."""

from typing import Dict

from ..errors import ClinbertError
from . import brat, i2b2_2010, n2c2_2018, semclinbr
from .formats import Format

FORMATS: Dict[str, Format] = {form.name: form for form in (brat.FORMAT, i2b2_2010.FORMAT, n2c2_2018.FORMAT, semclinbr.FORMAT)}


def find_format(name: str) -> Format:
    """Look up a form.

    name (str): its name.
    RETURNS (Format): its row.
    RAISES (ClinbertError): if there is none, with the names that there are.
    """
    if name not in FORMATS:
        raise ClinbertError(f"no format {name!r}: choose one of {', '.join(FORMATS)}")
    return FORMATS[name]
