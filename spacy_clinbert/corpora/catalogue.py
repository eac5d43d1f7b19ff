"""The catalogue of corpora: every form that `clinbert convert` reads."""

from typing import Dict

from ..errors import ClinbertError
from . import (
    brat,
    conll,
    i2b2_2006,
    i2b2_2006_smoking,
    i2b2_2008,
    i2b2_2010,
    i2b2_2012,
    i2b2_2014,
    labelled,
    mednli,
    n2c2_2018,
    n2c2_2018_track1,
    pubmed_rct,
    pubtator,
    semclinbr,
)
from .formats import Format

_MODULES = (
    *(brat, conll, i2b2_2006, i2b2_2006_smoking, i2b2_2008, i2b2_2010, i2b2_2012, i2b2_2014),
    *(labelled, mednli, n2c2_2018, n2c2_2018_track1, pubmed_rct, pubtator, semclinbr),
)
FORMATS: Dict[str, Format] = {module.FORMAT.name: module.FORMAT for module in _MODULES}


def find_format(name: str) -> Format:
    """Look up a form.

    name (str): its name.
    RETURNS (Format): its row.
    RAISES (ClinbertError): if there is none, with the names that there are.
    """
    if name not in FORMATS:
        raise ClinbertError(f"no format {name!r}: choose one of {', '.join(FORMATS)}")
    return FORMATS[name]
