"""n2c2 2018 track 2: adverse drug events and medications in discharge summaries (Henry et al. 2020, JAMIA 27:3).

It is brat standoff; as released, two archives unpack side by side into one folder:

    training_20180910/NAME.{txt,ann}
    gold-standard-test-data/NAME.{txt,ann}

A plain folder of such pairs is read as training data. Each mention other than a drug may be related to drugs, by a
relation such as `Strength-Drug`. The texts are MIMIC-III's discharge summaries, whose lines are broken at about 75
characters: mentions that run over a line end are given as fragments, and become one; what skips words stays fragments.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import ClinbertError
from . import brat
from .formats import I2B2, Format
from .records import Entry, Record

TRAIN, TEST = "training_20180910", "gold-standard-test-data"
LABELS = frozenset(("Drug", "Strength", "Form", "Dosage", "Frequency", "Route", "Duration", "Reason", "ADE"))


def entries(source: Path) -> Iterator[Entry]:
    """Find the documents of a corpus, in the order of their names.

    source (Path): folder of the corpus: as released, where other folders beside the two are not looked at, or plain.
    RETURNS (Iterator[Entry]): the documents.
    RAISES (ClinbertError): if there is no such folder.
    """
    released = {name for name in (TRAIN, TEST) if (source / name).is_dir()}
    for entry in brat.entries(source):
        if not released or entry.id.partition("/")[0] in released:
            yield entry


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as .txt and .ann files, named by their ids.

    records (Iterable[Record]): records with labels of the corpus.
    folder (Path): where the files go.
    RAISES (ClinbertError): if a record has other labels, or the form cannot hold it.
    """
    brat.write(map(_checked, records), folder)


def _checked(record: Record) -> Record:
    others = sorted({mention.label for mention in record.mentions} - LABELS)
    if others:
        raise ClinbertError(f"{record.id}: n2c2 2018 has no label {others[0]!r}: write it as brat")
    return record


FORMAT = Format(
    name="n2c2_2018",
    title="n2c2 2018 track 2: adverse drug events and medications",
    entries=entries,
    write=write,
    terms=I2B2,
    texts=("MIMIC-III notes, all of NOTEEVENTS", "n2c2 2018 and 2022 notes"),
)
