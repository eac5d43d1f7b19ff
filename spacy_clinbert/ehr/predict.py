"""What a trained pipeline predicts for the patients of a cohort."""

from pathlib import Path
from typing import Literal

import polars as pl
from spacy.language import Language

from ..errors import ClinbertError
from ..training.calibrate import find_textcat
from .cohort_folder import LABELS
from .docs import get_id
from .labels import write_predictions
from .patients_reader import make_patients_reader
from .predictions import PROBABILITY, TRAINED_ON

Split = Literal["train", "valid", "test"]


def predict(nlp: Language, cohort: Path, out: Path, split: Split = "test") -> pl.DataFrame:
    """Predict the outcome of a cohort, and write the predictions in the form of meds-evaluation.

    nlp (Language): a pipeline with a `clinbert_textcat` of one label, that of the cohort.
    cohort (Path): a folder that `clinbert ehr cohort` wrote.
    out (Path): Parquet file to write.
    split (str): which patients.
    RETURNS (pl.DataFrame): subject_id and predicted_boolean_probability.
    RAISES (ClinbertError): if the pipeline has no such component, or the cohort cannot be read or has another label.
    """
    labels = find_textcat(nlp).labels
    if len(labels) != 1:
        raise ClinbertError(f"the pipeline has {len(labels)} labels, and a cohort has one: give a pipeline with one")
    examples = make_patients_reader(cohort, split, list(labels))(nlp)
    docs = nlp.pipe(example.predicted for example in examples)
    rows = [(get_id(doc), doc.cats[labels[0]]) for doc in docs]
    found = pl.DataFrame(rows, {"subject_id": pl.String, PROBABILITY: pl.Float64}, orient="row")
    write_predictions(cohort / LABELS, found, out, nlp.meta.get(TRAINED_ON))
    return found
