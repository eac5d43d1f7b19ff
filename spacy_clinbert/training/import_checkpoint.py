"""Hugging Face classifiers as spaCy pipelines: the same weights, labels and predictions, without training."""

import re
from functools import partial
from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional, Sequence

import spacy
from spacy.language import Language

from ..encoders import NOT_STATED, EncoderSource, resolve_encoder
from ..errors import ClinbertError
from ..models.checkpoints import fetch, load_weights
from .imported_heads import add_ner, add_textcat
from .provenance import GATED

# The endings of the classes of transformers that are read.
TOKENS, TEXTS = "ForTokenClassification", "ForSequenceClassification"
# Of which the rules have a lexicon.
LANGUAGES = ("en", "pt")
HUB = "https://huggingface.co/"


class Imported(NamedTuple):
    """A checkpoint as a pipeline.

    nlp (Language): the pipeline.
    summary (Dict[str, str]): what was read, and how.
    """

    nlp: Language
    summary: Dict[str, str]


def import_checkpoint(
    name: str, lang: str = "en", classes: Optional[Sequence[str]] = None, scheme: Optional[str] = None
) -> Imported:
    """Make a pipeline of a token or sequence classifier: rules, its encoder, and its head.

    name (str): hub id or folder; its weights are safetensors, or a state that is read without running code.
    lang (str): language of the notes, one that the rules have a lexicon for.
    classes (Optional[Sequence[str]]): names of its classes, in the order of its outputs; None for those in its files.
    scheme (Optional[str]): tag scheme of a token classifier; None to infer it from the names.
    RETURNS (Imported): the pipeline. On the wordpieces of a window it predicts what the checkpoint predicts.
    RAISES (ClinbertError): if it is no such classifier, lacks weights, or has a head of another form.
    """
    nlp = rule_pipeline(lang)
    model = read_classifier(name)
    kind = type(model).__name__
    if sorted(model.config.id2label) != list(range(model.config.num_labels)):
        raise ClinbertError(f"{name}: id2label of config.json does not count its classes from 0: correct it in a copy")
    names = [str(model.config.id2label[i]) for i in range(model.config.num_labels)]
    if classes is not None and len(classes) != len(names):
        raise ClinbertError(f"{name} has {len(names)} classes, but --labels names {len(classes)}: name each, in order")
    names = list(classes or names)
    if not all(map(str.strip, names)):
        raise ClinbertError(f"{name}: one of its {len(names)} classes has an empty name: name each by --labels")
    try:
        if kind.endswith(TOKENS):
            said = add_ner(nlp, name, model, names, scheme)
        elif scheme is not None:
            raise ClinbertError("it classifies whole texts, which have no tag scheme: leave --scheme out")
        else:
            said = add_textcat(nlp, name, model, names)
    except ClinbertError as error:
        raise ClinbertError(f"{name} cannot be imported: {error}") from error
    nlp.meta.update(describe(name, kind))
    return Imported(nlp, {"checkpoint": f"{name} ({kind})", **said})


def rule_pipeline(lang: str) -> Language:
    """The rules that stand before a head, as in configs/ner.cfg."""
    if lang not in LANGUAGES:
        raise ClinbertError(f'lang "{lang}" has no lexicon of section titles: give one of {", ".join(LANGUAGES)}')
    nlp = spacy.blank(lang, config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    nlp.batch_size = 32
    nlp.add_pipe("clinbert_placeholders")
    nlp.add_pipe("clinbert_sections", config={"lexicon": lang})
    nlp.add_pipe("clinbert_sentences")
    return nlp


def read_classifier(name: str) -> Any:
    """Read a classifier with its head; what is none is refused before weights are read.

    name (str): hub id or folder.
    RETURNS (PreTrainedModel): the model, in evaluation mode.
    RAISES (ClinbertError): if it cannot be reached, is no classifier, or its files lack weights.
    """
    import transformers

    config = fetch(name, read_config)
    architecture = next(iter(config.get("architectures") or ()), "no architecture named")
    if config.get("is_encoder_decoder"):
        raise ClinbertError(f"{name} is an encoder with a decoder ({architecture}): give a classifier without decoder")
    if not architecture.endswith((TOKENS, TEXTS)):
        raise ClinbertError(
            f"{name} has no classification head (config.json: {architecture}): give a token or sequence classifier, or "
            "train a head on it as configs/ner.cfg does"
        )
    if not hasattr(transformers, architecture):
        raise ClinbertError(f"{name} is a {architecture}, which needs code of its own: such code is never run")
    try:
        model, absent = fetch(name, partial(load_weights, architecture=architecture))
    except ClinbertError as error:
        if "size mismatch" not in str(error.__cause__):
            raise
        raise ClinbertError(
            f"{name}: config.json and weights differ in a size, such as the number of classes: copy its files again"
        ) from error
    if absent:
        raise ClinbertError(
            f"the weights of {name} lack {absent[0]}: its head is not trained, so give another checkpoint"
        )
    return model.eval()


def read_config(source: EncoderSource, offline: bool) -> Dict[str, Any]:
    """Read a config.json as it is; a loader for `fetch`."""
    from transformers import PretrainedConfig

    revision = source.revision or "main"
    config, _ = PretrainedConfig.get_config_dict(source.location, revision=revision, local_files_only=offline)
    return config


def describe(name: str, kind: str) -> Dict[str, Any]:
    """What the meta of the pipeline says of where it comes from, in spaCy's fields.

    name (str): hub id or folder; a folder's place on this machine says nothing elsewhere.
    kind (str): the class of the checkpoint.
    RETURNS (Dict[str, Any]): name, description and sources.
    """
    source = resolve_encoder(name)
    local = Path(source.location).is_dir()
    title = Path(source.location).resolve().name if local else source.location
    row = {"name": f"checkpoint {title}", "url": "" if local else HUB + title, "author": "", "license": NOT_STATED}
    return {
        "name": re.sub(r"\W+", "_", title.rpartition("/")[2]).strip("_").lower(),
        "description": f"{kind} {title}, imported by `clinbert import`, not trained further. Its files do not say"
        " on which notes it was trained: its model card may.",
        "sources": [{**row, GATED: "unknown"}],
    }
