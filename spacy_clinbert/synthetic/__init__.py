"""Generators that write synthetic corpora in their native formats."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Tuple

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
    noteevents,
    pubmed_rct,
    pubtator,
    semclinbr,
)


class Writer(NamedTuple):
    """A form of synthetic corpus.

    make (Callable): makes document number k (from 1) for a seed.
    write (Callable): writes documents into a folder as they come.
    contents (Tuple[str, ...]): names of the files and folders written.
    """

    make: Callable[[int, int], Any]
    write: Callable[[Path, Iterator[Any]], None]
    contents: Tuple[str, ...]


WRITERS: Dict[str, Writer] = {
    "notes": Writer(noteevents.make_note, noteevents.write_noteevents, noteevents.CONTENTS),
    "brat": Writer(brat.make_record, brat.write_brat, brat.CONTENTS),
    "conll": Writer(conll.make_record, conll.write_conll, conll.CONTENTS),
    "i2b2_2006": Writer(i2b2_2006.make_record, i2b2_2006.write_i2b2_2006, i2b2_2006.CONTENTS),
    "i2b2_2006_smoking": Writer(
        i2b2_2006_smoking.make_record, i2b2_2006_smoking.write_i2b2_2006_smoking, i2b2_2006_smoking.CONTENTS
    ),
    "i2b2_2008": Writer(i2b2_2008.make_record, i2b2_2008.write_i2b2_2008, i2b2_2008.CONTENTS),
    "i2b2_2010": Writer(i2b2_2010.make_record, i2b2_2010.write_i2b2_2010, i2b2_2010.CONTENTS),
    "i2b2_2012": Writer(i2b2_2012.make_record, i2b2_2012.write_i2b2_2012, i2b2_2012.CONTENTS),
    "i2b2_2014": Writer(i2b2_2014.make_record, i2b2_2014.write_i2b2_2014, i2b2_2014.CONTENTS),
    "labelled": Writer(labelled.make_record, labelled.write_labelled, labelled.CONTENTS),
    "mednli": Writer(mednli.make_pair, mednli.write_mednli, mednli.CONTENTS),
    "n2c2_2018": Writer(n2c2_2018.make_record, n2c2_2018.write_n2c2_2018, n2c2_2018.CONTENTS),
    "n2c2_2018_track1": Writer(
        n2c2_2018_track1.make_record, n2c2_2018_track1.write_n2c2_2018_track1, n2c2_2018_track1.CONTENTS
    ),
    "pubmed_rct": Writer(pubmed_rct.make_abstract, pubmed_rct.write_pubmed_rct, pubmed_rct.CONTENTS),
    "pubtator": Writer(pubtator.make_record, pubtator.write_pubtator, pubtator.CONTENTS),
    "semclinbr": Writer(semclinbr.make_record, semclinbr.write_semclinbr, semclinbr.CONTENTS),
}
