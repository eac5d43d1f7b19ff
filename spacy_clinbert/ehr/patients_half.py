"""`spacy_clinbert.PatientsHalf.v1`: one half of the valid split, so that the other stays unseen by early stopping.

[corpora.dev]
@readers = "spacy_clinbert.PatientsHalf.v1"
path = ${paths.cohort}
half = "early_stopping"
limit = 64
"""

from pathlib import Path
from typing import Iterator, Literal, Union

from spacy.language import Language
from spacy.training import Example
from spacy.util import registry

from ..errors import ClinbertError
from ..training.dev_halves import half_of
from .docs import get_id
from .patients_reader import PatientsReader, make_patients_reader

NAME = "spacy_clinbert.PatientsHalf.v1"


@registry.readers(NAME)
def make_patients_half(
    path: Union[str, Path], half: Literal["early_stopping", "calibration"], limit: int = 0
) -> "PatientsHalf":
    """Make a reader of half the valid split, drawn by a hash of each id: other patients do not matter.

    path (Union[str, Path]): a folder that `clinbert ehr cohort` wrote.
    half (str): "early_stopping" for training, which chooses the best pipeline by it; "calibration" for what
        `clinbert calibrate` fits a temperature to.
    limit (int): codes of a patient, the latest; 0 for all.
    RETURNS (PatientsHalf): gives an Example for each patient of the half.
    """
    return PatientsHalf(make_patients_reader(path, "valid", None, limit), half)


class PatientsHalf:
    """Reads half of what a reader gives.

    reader (PatientsReader): of the valid split; half (str): see `make_patients_half`.
    """

    def __init__(self, reader: PatientsReader, half: str) -> None:
        self.reader, self.half = reader, half

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Read the patients.

        nlp (Language): the pipeline they are for.
        YIELDS (Example): predicted and gold Doc of a patient.
        RAISES (ClinbertError): if the half is empty, and as the reader.
        """
        empty = True
        for example in self.reader(nlp):
            if half_of(get_id(example.predicted)) == self.half:
                empty = False
                yield example
        if empty:
            raise ClinbertError(
                f"{self.reader.path}: its valid split has no patients in the half for {self.half}: make a larger cohort"
            )
