"""The registered reader of prepared patients.

[corpora.train]
@readers = "spacy_clinbert.Patients.v1"
path = ${paths.patients}
split = "train"
limit = 64
"""

from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Literal, Optional

from spacy.language import Language
from spacy.training import Example
from spacy.util import registry

from ..errors import ClinbertError

Reader = Callable[[Language], Iterator[Example]]

# Patients in the memory at once, as rows.
BATCH = 1000


@registry.readers("spacy_clinbert.Patients.v1")
def make_patients_reader(
    path: Path,
    split: Literal["train", "valid", "test"],
    labels: Optional[List[str]] = None,
    limit: int = 0,
) -> Reader:
    """Make a reader of prepared patients, straight from their shards.

    Unlike spaCy's own corpora, it gives predicted Docs with visits, ranks and days: no rule could find them again.

    path (Path): a folder that `clinbert ehr prepare` or `clinbert ehr cohort` wrote.
    split (str): "train", "valid" or "test".
    labels (Optional[List[str]]): columns of labels; None for all. Each is a category, its value from 0 to 1; where it
        is null, the patient is not asked for it.
    limit (int): codes of a patient, the latest; 0 for all. Rasmy et al. 2021 fine-tuned on 64.
    RETURNS (Reader): gives an Example for each patient. It raises a ClinbertError if the folder is not whole, the split
        is empty or a column is not there or holds no numbers.
    """

    def read_examples(nlp: Language) -> Iterator[Example]:
        # Not at import: spaCy imports this module at every start.
        from .code_vocabulary import read_codes
        from .docs import make_patient
        from .ehr_manifest import CODES, read_manifest

        shards = read_manifest(path).split(split)
        if not shards:
            raise ClinbertError(f"{path} has no patients for {split}: prepare more patients, or with other shares")
        codes = read_codes(path / CODES)
        for shard in shards:
            for row in _rows(path / shard.name, labels):
                doc = make_patient(row, codes, nlp.vocab, limit)
                gold = doc.copy()
                gold.cats = row["cats"]
                yield Example(doc, gold)

    return read_examples


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
