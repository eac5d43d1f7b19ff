"""A patient's timeline as an HTML page: visits, codes, and what a prediction rests on."""

from pathlib import Path
from typing import Any, Dict, List, Optional

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from ..errors import ClinbertError
from .attributions import Attribution, attribute, explain
from .code_names import name_code
from .code_vocabulary import read_codes
from .docs import BIRTH, DAYS, FIRST, ID, RANKS, SEX, make_patient
from .ehr_manifest import CODES, read_manifest
from .pages import render
from .schemas import SEQUENCES
from .visits_left_out import find_visits, read_patient

# Codes in the list of those that weigh most.
MOST = 10


def find_patient(patients: Path, subject_id: str, nlp: Language, limit: int = 0) -> Doc:
    """Find a patient among prepared ones.

    patients (Path): what `clinbert ehr prepare` or `clinbert ehr cohort` wrote.
    subject_id (str): the patient; nlp (Language): whose vocabulary is used.
    limit (int): codes to read, the latest; 0 for all.
    RETURNS (Doc): the patient.
    RAISES (ClinbertError): if there is no such patient, or the folder is not whole.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    codes = read_codes(patients / CODES)
    for shard in read_manifest(patients).shards:
        try:
            found = pq.read_table(
                patients / shard.name, columns=SEQUENCES.names, filters=[("subject_id", "=", subject_id)]
            ).to_pylist()
        except (OSError, pa.ArrowException):
            raise ClinbertError(
                f"{patients / shard.name} is missing or damaged: prepare again with --replace"
            ) from None
        if found:
            return make_patient(found[0], codes, nlp.vocab, limit)
    raise ClinbertError(f"{patients} holds no patient {subject_id}: give the id of one of its patients")


def render_timeline(nlp: Language, doc: Doc, label: str, model: str) -> str:
    """Render the timeline of a patient, and what the prediction of a label rests on.

    nlp (Language): the pipeline; model (str): its name.
    doc (Doc): the patient, with `clinbert_id` in `doc.user_data`; label (str): the label.
    RETURNS (str): the page. Integrated gradients are there where `clinbert_textcat` stands on our encoder or vectors of
        codes;
        what the prediction would be without each visit, always.
    RAISES (ClinbertError): if the patient has no codes, or the pipeline no such label.
    """
    if not len(doc):
        raise ClinbertError(f"patient {doc.user_data.get(ID, '')} has no codes: there is nothing to show")
    reading = read_patient(nlp, doc, label)
    missing = ""
    found: Optional[Attribution] = None
    try:
        found = attribute(explain(nlp, doc, label), len(doc))
    except ClinbertError as error:
        missing = str(error)
    added = np.full(len(doc), np.nan) if found is None else found.codes
    largest = float(np.nanmax(np.abs(added), initial=0.0))
    days, ranks = (doc.user_data.get(key) or [0] * len(doc) for key in (DAYS, RANKS))
    codes = [
        {
            "key": token.text,
            "name": name_code(token.text),
            "rank": ranks[token.i],
            "added": _number(added[token.i]),
            "share": 0.0 if np.isnan(added[token.i]) or not largest else float(added[token.i]) / largest,
            "attention": None if reading.attention is None else _number(reading.attention[token.i]),
            "visit": 0,
        }
        for token in doc
    ]
    visits: List[Dict[str, Any]] = []
    for number, ((start, end), without) in enumerate(zip(find_visits(doc), reading.without), start=1):
        for code in codes[start:end]:
            code["visit"] = number
        read = added[start:end][~np.isnan(added[start:end])]
        one = {"number": number, "day": days[start], "codes": codes[start:end], "without": without}
        visits.append(one | {"added": float(read.sum()) if len(read) else None})
    return render(
        "timeline.html",
        {"signed": lambda value: "–" if value is None else f"{value:+.3f}"},
        doc={
            name: doc.user_data.get(key, "")
            for name, key in zip(("id", "birth", "sex", "first"), (ID, BIRTH, SEX, FIRST))
        },
        label=label,
        model=model,
        reading=reading,
        found=found,
        missing=missing,
        agreement=_agreement(visits),
        visits=visits,
        most=sorted((one for one in codes if one["added"] is not None), key=lambda one: -abs(one["added"]))[:MOST],
        has_attention=reading.attention is not None,
    )


def _agreement(visits: List[Dict[str, Any]]) -> Optional[float]:
    """The rank correlation, over visits, of both ways to say what a visit adds; None for fewer than three."""
    from scipy.stats import spearmanr

    pairs = np.array([(one["added"], one["without"]) for one in visits if one["added"] is not None])
    if len(pairs) < 3 or (pairs == pairs[0]).all(axis=0).any():
        return None
    return float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic)


def _number(value: float) -> Optional[float]:
    return None if np.isnan(value) else float(value)
