"""A temperature for a trained `clinbert_textcat`, fitted on documents that early stopping did not see."""

import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

import numpy as np
from scipy.optimize import minimize_scalar
from spacy.language import Language
from spacy.training import Example

from ..components.label_groups import gold_values
from ..components.textcat import ClinbertTextcat
from ..ehr.patients_half import NAME as PATIENTS
from ..ehr.patients_half import make_patients_half
from ..errors import ClinbertError
from ..evaluation.calibration import Calibration, calibration
from ..models.window_probabilities import LabelGroup, read_probabilities
from .corpus import make_corpus
from .dev_halves import CALIBRATION, EARLY_STOPPING, NAME, make_dev_half

# Bounds of the logarithm of a temperature. One at a bound is no calibration: where a label always holds, or hardly any
# document is judged, the likelihood grows up to it.
BOUNDS = (-4.0, 4.0)
BATCH = 32


class GroupCalibration(NamedTuple):
    """The calibration of a group of labels.

    group (str): its name, empty where all labels of the component are one group.
    temperature (float): what its logits are divided by from now on.
    before (Calibration), after (Calibration): on the documents that it was fitted to.
    """

    group: str
    temperature: float
    before: Calibration
    after: Calibration


def calibrate(nlp: Language, dev: Path) -> List[GroupCalibration]:
    """Fit a temperature for each group of labels of a pipeline's `clinbert_textcat`, by likelihood (Guo et al. 2017,
    ICML), and set it. The order of labels of one row does not change; where windows are aggregated, it can.

    nlp (Language): the pipeline; changed.
    dev (Path): the development set of its training; of patients, the cohort.
    RETURNS (List[GroupCalibration]): what was fitted. A group of which nothing is judged is left as it is; one of which
        no temperature is the best gets 1, and a warning says so.
    RAISES (ClinbertError): if the pipeline has no such component, if early stopping saw all of the development set, or
        if nothing in it is judged.
    """
    textcat = find_textcat(nlp)
    logits, gold = read_documents(nlp, textcat, unseen(nlp, dev))
    temperatures: Dict[str, float] = {}
    fitted = []
    for group in textcat.groups:
        truth = gold[:, group.columns]
        if np.isnan(truth).all():
            continue
        rows = [one[:, group.columns] for one in logits]
        alone = LabelGroup(group.name, list(range(len(group.columns))), group.exclusive)
        aggregate = textcat.model.attrs["aggregate"]

        def measured(log: float) -> Calibration:
            return calibration(_read(rows, alone, aggregate, float(np.exp(log))), truth, alone.exclusive)  # noqa: B023

        best = minimize_scalar(lambda log: measured(log).nll, bounds=BOUNDS, method="bounded")
        if any(measured(bound).nll <= best.fun for bound in BOUNDS):
            warnings.warn(
                f"{textcat.name}: no temperature is the best for {group.name or 'its labels'}, since its "
                f"{measured(0.0).decisions} decisions are too few or too much alike: it stays uncalibrated",
                stacklevel=2,
            )
            best.x = 0.0
        temperatures[group.name] = float(np.exp(best.x))
        fitted.append(GroupCalibration(group.name, temperatures[group.name], measured(0.0), measured(best.x)))
    if not fitted:
        raise ClinbertError(f"{dev}: no document is judged on a label of {textcat.name}: give another development set")
    textcat.cfg["temperatures"] = {**textcat.temperatures, **temperatures}
    return fitted


def find_textcat(nlp: Language) -> ClinbertTextcat:
    """Find the component.

    nlp (Language): the pipeline.
    RETURNS (ClinbertTextcat): its one component of this kind.
    RAISES (ClinbertError): if it has none, or several.
    """
    found = [pipe for _, pipe in nlp.pipeline if isinstance(pipe, ClinbertTextcat)]
    if len(found) != 1:
        raise ClinbertError(f"the pipeline has {len(found)} components clinbert_textcat: calibrate one that has one")
    return found[0]


def unseen(nlp: Language, dev: Path) -> Iterator[Example]:
    """Read the documents by which training did not choose its best pipeline.

    nlp (Language): the pipeline, whose config tells what it was.
    dev (Path): the development set; of patients, the cohort.
    RETURNS (Iterator[Example]): the half for calibration where training read the other; all where it read none.
    RAISES (ClinbertError): if training read all of its development set.
    """
    reader = nlp.config.interpolate()["corpora"]["dev"]
    if reader.get("@readers") == NAME and reader.get("half") == EARLY_STOPPING:
        return make_dev_half(dev, CALIBRATION)(nlp)
    if reader.get("@readers") == PATIENTS and reader.get("half") == EARLY_STOPPING:
        return make_patients_half(dev, CALIBRATION, reader.get("limit", 0))(nlp)
    if reader.get("path") is None and reader.get("@readers") == "spacy.Corpus.v1":
        return make_corpus(dev, [])(nlp)
    raise ClinbertError(
        f"early stopping saw all of this pipeline's development set, so none is left to calibrate on: train with "
        f'[corpora.dev] @readers = "{NAME}" and half = "{EARLY_STOPPING}"'
    )


def read_documents(
    nlp: Language, textcat: ClinbertTextcat, examples: Iterator[Example]
) -> Tuple[List[np.ndarray], np.ndarray]:
    """Run documents through a pipeline up to the logits of its classifier.

    nlp (Language): the pipeline; textcat (ClinbertTextcat): its classifier.
    examples (Iterator[Example]): the documents.
    RETURNS (Tuple[List[ndarray], ndarray]): the logits of each, and the gold, shape (documents, labels).
    """
    logits: List[np.ndarray] = []
    gold: List[np.ndarray] = []
    behind = nlp.pipe_names[[pipe for _, pipe in nlp.pipeline].index(textcat) :]
    while batch := list(islice(examples, BATCH)):
        docs = list(nlp.pipe((example.predicted for example in batch), disable=behind))
        logits += textcat.predict_logits(docs)
        gold += [gold_values(example.reference.cats, textcat.labels, textcat.groups) for example in batch]
    return logits, np.array(gold).reshape(len(gold), len(textcat.labels))


def _read(rows: List[np.ndarray], group: LabelGroup, aggregate: str, temperature: float) -> np.ndarray:
    found = [read_probabilities(one, [group], aggregate, {group.name: temperature})[0] for one in rows]
    return np.array(found).reshape(len(found), len(group.columns))
