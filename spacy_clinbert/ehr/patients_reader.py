"""The registered reader of prepared patients.

[corpora.train]
@readers = "spacy_clinbert.Patients.v1"
path = ${paths.patients}
split = "train"
limit = 64
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Literal, Optional, Union

from spacy.language import Language
from spacy.training import Example
from spacy.util import registry

from ..errors import ClinbertError

if TYPE_CHECKING:
    from ..scale.made import Shard

# Patients in the memory at once, as rows.
BATCH = 1000


@registry.readers("spacy_clinbert.Patients.v1")
def make_patients_reader(
    path: Union[str, Path],
    split: Literal["train", "valid", "test"],
    labels: Optional[List[str]] = None,
    limit: int = 0,
) -> "PatientsReader":
    """Make a reader of prepared patients, straight from their shards.

    Unlike spaCy's own corpora, it gives predicted Docs with visits, ranks and days: no rule could find them again.

    path (Union[str, Path]): a folder that `clinbert ehr prepare` or `clinbert ehr cohort` wrote.
    split (str): "train", "valid" or "test".
    labels (Optional[List[str]]): columns of labels; None for all. Each is a category, its value from 0 to 1; where it
        is null, the patient is not asked for it.
    limit (int): codes of a patient, the latest; 0 for all. Rasmy et al. 2021 fine-tuned on 64.
    RETURNS (PatientsReader): gives an Example for each patient.
    """
    return PatientsReader(Path(path), split, labels, limit)


class PatientsReader:
    """Reads prepared patients; `len` counts them without reading any.

    path (Path), split (str), labels (Optional[List[str]]), limit (int): see `make_patients_reader`.
    """

    def __init__(self, path: Path, split: str, labels: Optional[List[str]], limit: int) -> None:
        self.path, self.split, self.labels, self.limit = path, split, labels, limit

    def __len__(self) -> int:
        return sum(shard.rows for shard in self._shards())

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Read the patients.

        nlp (Language): the pipeline they are for.
        YIELDS (Example): predicted and gold Doc of a patient.
        RAISES (ClinbertError): if the folder is not whole, the split is empty, or a column is not there or holds no
            numbers.
        """
        # Not at import: spaCy imports this module at every start.
        from .code_vocabulary import read_codes
        from .docs import make_patient
        from .ehr_manifest import CODES

        shards = self._shards()
        codes = read_codes(self.path / CODES)
        for shard in shards:
            for row in _rows(self.path / shard.name, self.labels):
                doc = make_patient(row, codes, nlp.vocab, self.limit)
                gold = doc.copy()
                gold.cats = row["cats"]
                yield Example(doc, gold)

    def _shards(self) -> "List[Shard]":
        from .ehr_manifest import read_manifest

        shards = read_manifest(self.path).split(self.split)
        if not shards:
            raise ClinbertError(
                f"{self.path} has no patients for {self.split}: prepare more patients, or with other shares"
            )
        return shards


def _rows(shard: Path, labels: Optional[List[str]]) -> Iterator[Dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from .schemas import SEQUENCES

    try:
        with pq.ParquetFile(shard) as table:
            others = [field for field in table.schema_arrow if field.name not in SEQUENCES.names]
            numeric = {field.name for field in others if _is_numeric(field.type)}
            wanted = [field.name for field in others] if labels is None else labels
            for name in wanted:
                if name not in numeric:
                    raise ClinbertError(f"{shard} has no column {name} of numbers or truth values: give its labels")
            for batch in table.iter_batches(BATCH, columns=[*SEQUENCES.names, *wanted]):
                for row in batch.to_pylist():
                    cats = {name: float(row[name]) for name in wanted if row[name] is not None}
                    yield {**row, "cats": cats}
    except (OSError, pa.ArrowException):
        raise ClinbertError(f"{shard} is missing or damaged: copy it again, or prepare with --replace") from None


def _is_numeric(kind: Any) -> bool:
    import pyarrow as pa

    return pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
