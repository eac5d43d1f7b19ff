"""A saved pipeline with its encoders compiled for another engine than torch."""

from pathlib import Path
from typing import Any, Iterator, List, Mapping, NamedTuple, Optional, Tuple

import spacy
from spacy.language import Language
from spacy.util import load_config

from ..corpora.places import shown
from ..errors import ClinbertError
from .encoder_inputs import read_docs, read_inputs
from .openvino_engine import Arrays
from .quantization import require_nncf
from .transformer_shim import find_shims

# What takes the settings `engine` and `precision`.
ENCODERS = {f"spacy_clinbert.{kind}.v1" for kind in ("NoteEncoder", "NoteMentions", "NotePairs", "NoteWindows")}


class CompiledPipeline(NamedTuple):
    """A compiled pipeline.

    nlp (Language): the pipeline; what it saves loads without knowing more, and cannot be trained.
    encoders (List[str]): where its config has encoders, such as `clinbert_ner.model.tok2vec`.
    """

    nlp: Language
    encoders: List[str]


def compile_pipeline(folder: Path, engine: str, precision: str, notes: Optional[str] = None) -> CompiledPipeline:
    """Load a pipeline with other settings of its encoders, and compile these.

    folder (Path): a saved pipeline.
    engine (str): "openvino".
    precision (str): "fp32", "bf16" or "int8".
    notes (Optional[str]): for "int8", notes like those to come, on which its ranges are measured: a .spacy file, or
        whatever `read_source` reads.
    RETURNS (CompiledPipeline): the pipeline.
    RAISES (ClinbertError): if it is none, holds no encoder of ours, what is needed is not installed, or the notes do
        not fit.
    """
    try:
        config = load_config(folder / "config.cfg")
    except (OSError, ValueError):
        raise ClinbertError(f"{folder} is no saved pipeline: give the folder that training wrote") from None
    encoders = [".".join(path) for path in find_encoders(config.get("components", {}), ())]
    if not encoders:
        raise ClinbertError(
            f"{folder} holds none of {', '.join(sorted(ENCODERS))}: other encoders cannot be compiled here"
        )
    settings = {"engine": engine, "precision": precision}
    overrides = {f"components.{path}.{key}": value for path in encoders for key, value in settings.items()}
    sequences = _measured_on(folder, precision, notes)
    nlp = spacy.load(folder, config=overrides)
    for number, shim in enumerate(find_shims(nlp)):
        shim.keep_compiled(sequences[number] if sequences else ())
    # For `spacy package`, which finds what registered a component but not what that needs.
    nlp.meta["requirements"] = sorted({*nlp.meta.get("requirements", []), engine})
    return CompiledPipeline(nlp, encoders)


def _measured_on(folder: Path, precision: str, notes: Optional[str]) -> List[List[Arrays]]:
    """The sequences that each encoder is measured on, where one is."""
    if (precision == "int8") != (notes is not None):
        raise ClinbertError(
            'precision = "int8" is measured on notes: give some hundred like those to come (--notes)'
            if notes is None
            else f'notes are for precision = "int8", and not for "{precision}": leave them out'
        )
    if notes is None:
        return []
    require_nncf()
    nlp = spacy.load(folder)
    sequences = read_inputs(nlp, read_docs(notes, nlp))
    if not all(sequences):
        raise ClinbertError(
            f"{shown(notes)} gives an encoder nothing to read: give notes, or a .spacy file with what its head needs"
        )
    return sequences


def find_encoders(section: Mapping[str, Any], path: Tuple[str, ...]) -> Iterator[Tuple[str, ...]]:
    """The places of our encoders in a config."""
    if section.get("@architectures") in ENCODERS:
        yield path
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from find_encoders(value, (*path, key))
