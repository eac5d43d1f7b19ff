"""A saved pipeline with its encoders compiled for another engine than torch."""

from pathlib import Path
from typing import Any, Iterator, List, Mapping, NamedTuple, Tuple

import spacy
from spacy.language import Language
from spacy.util import load_config
from thinc.api import Model

from ..errors import ClinbertError
from .transformer_shim import TransformerShim

# What takes the settings `engine` and `precision`.
ENCODERS = {f"spacy_clinbert.{kind}.v1" for kind in ("NoteEncoder", "NoteMentions", "NotePairs", "NoteWindows")}


class CompiledPipeline(NamedTuple):
    """A compiled pipeline.

    nlp (Language): the pipeline; what it saves loads without knowing more, and cannot be trained.
    encoders (List[str]): where its config has encoders, such as `clinbert_ner.model.tok2vec`.
    """

    nlp: Language
    encoders: List[str]


def compile_pipeline(folder: Path, engine: str, precision: str) -> CompiledPipeline:
    """Load a pipeline with other settings of its encoders, and compile these.

    folder (Path): a saved pipeline.
    engine (str): "openvino".
    precision (str): "fp32" or "bf16".
    RETURNS (CompiledPipeline): the pipeline.
    RAISES (ClinbertError): if it is none, holds no encoder of ours, or the engine is not installed.
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
    nlp = spacy.load(folder, config=overrides)
    for name in nlp.component_names:
        model = getattr(nlp.get_pipe(name), "model", None)
        for layer in model.walk() if isinstance(model, Model) else ():
            for shim in layer.shims:
                if isinstance(shim, TransformerShim) and shim.settings.engine != "torch":
                    shim.keep_compiled()
    # For `spacy package`, which finds what registered a component but not what that needs.
    nlp.meta["requirements"] = sorted({*nlp.meta.get("requirements", []), engine})
    return CompiledPipeline(nlp, encoders)


def find_encoders(section: Mapping[str, Any], path: Tuple[str, ...]) -> Iterator[Tuple[str, ...]]:
    """The places of our encoders in a config."""
    if section.get("@architectures") in ENCODERS:
        yield path
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from find_encoders(value, (*path, key))
