"""Hugging Face checkpoints: read by name, kept as bytes, and adjusted to a run's dropout and frozen layers."""

import contextlib
import tempfile
from pathlib import Path
from typing import Any, Iterator, NamedTuple, Optional

from ..encoders import resolve_encoder, unreachable
from ..errors import ClinbertError

# Seconds to wait for the hub's answer on whether it has a model.
HUB_TIMEOUT = 10


class Checkpoint(NamedTuple):
    """An encoder as it was read.

    model (PreTrainedModel): the encoder, without pooler.
    tokenizer (PreTrainedTokenizerFast): its tokenizer.
    trained_length (int): the longest sequence, special pieces included, that it should be given.
    """

    model: Any
    tokenizer: Any
    trained_length: int


def read_checkpoint(name: str) -> Checkpoint:
    """Read tokenizer and weights of a catalogued encoder, a hub id or a local folder.

    name (str): alias, hub id or folder.
    RETURNS (Checkpoint): what was read.
    RAISES (ClinbertError): if it is none of these, cannot be reached, or holds no encoder with a fast tokenizer.
    """
    from huggingface_hub import HfApi

    source = resolve_encoder(name)
    options: dict[str, Any] = {"revision": source.revision} if source.revision else {}
    casing = {}
    if source.entry is not None:
        # Several published tokenizers carry no casing flag: a cased vocabulary would be read in lower case.
        casing = {"do_lower_case": not source.entry.cased, "strip_accents": source.entry.strip_accents}
    try:
        model, tokenizer = from_folder_or_hub(source.location, {**options, "local_files_only": True}, casing)
    except ClinbertError:
        raise
    except (OSError, ValueError):
        # Neither a folder nor in the hub's local cache. One quick question tells whether the hub has it; transformers
        # would retry for a minute where there is no network.
        try:
            HfApi().model_info(source.location, revision=source.revision, timeout=HUB_TIMEOUT)
            model, tokenizer = from_folder_or_hub(source.location, options, casing)
        except (OSError, ValueError) as error:
            raise unreachable(name) from error
    if not tokenizer.is_fast:
        raise ClinbertError(f"the tokenizer of {name!r} has no fast form: add a tokenizer.json to its folder")
    length = source.entry.trained_length if source.entry is not None else tokenizer.model_max_length
    return Checkpoint(model, tokenizer, min(length, max_positions(model)))


def from_folder_or_hub(location: str, options: dict[str, Any], casing: dict[str, bool]) -> tuple[Any, Any]:
    """Load model and tokenizer, quietly, but not a model whose weights are missing."""
    from transformers import AutoModel, AutoTokenizer

    with quiet_transformers():
        # RoBERTa's byte-level tokenizer takes words that were cut beforehand only with a blank put before each.
        tokenizer = AutoTokenizer.from_pretrained(location, use_fast=True, add_prefix_space=True, **casing, **options)
        model, info = AutoModel.from_pretrained(location, torch_dtype="float32", output_loading_info=True, **options)
    missing = [key for key in info["missing_keys"] if "pooler" not in key and "position_ids" not in key]
    if missing:
        raise ClinbertError(
            f"the weights in {location!r} lack {len(missing)} tensors of the encoder (first: {missing[0]}): "
            "copy its files again"
        )
    # Rows come from the last layer; a pooler would be saved untrained.
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model, tokenizer


def to_files(model: Any, tokenizer: Any) -> dict[str, bytes]:
    """The files of a Hugging Face folder (configuration, tokenizer, safetensors) by name."""
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        model.save_pretrained(folder, safe_serialization=True, max_shard_size="100GB")
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def from_files(files: dict[str, bytes]) -> tuple[Any, Any]:
    """Model and tokenizer out of the files of a Hugging Face folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            # Names come from a file that may have been tampered with: none may lead out of the folder.
            (Path(folder) / Path(name).name).write_bytes(content)
        return from_folder_or_hub(folder, {"local_files_only": True}, {})


def max_positions(model: Any) -> int:
    """The longest sequence, special pieces included, that an encoder has positions for."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    # RoBERTa counts positions from behind its padding id, so that as many rows of its table are never used.
    padding = getattr(table, "padding_idx", None)
    return int(model.config.max_position_embeddings) - (0 if padding is None else padding + 1)


def set_dropout(model: Any, rate: Optional[float]) -> None:
    """Set every dropout of an encoder, attention included; None leaves what its configuration says."""
    import torch

    if rate is None:
        return
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = rate
        # SDPA attention reads its rate from an attribute rather than from a module.
        for attribute in ("dropout_prob", "attention_dropout"):
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, rate)


def freeze(model: Any, layers: int, name: str) -> None:
    """Take the gradient from the embeddings and the lowest layers.

    model (PreTrainedModel): the encoder.
    layers (int): how many layers; 0 leaves all trainable, the embeddings too.
    name (str): the encoder's name, for the error.
    RAISES (ClinbertError): if it has fewer layers.
    """
    if layers == 0:
        return
    stack = getattr(getattr(model, "encoder", model), "layer", None)
    stack = model.layers if stack is None else stack
    if layers > len(stack):
        raise ClinbertError(f"freeze_layers = {layers}, but {name!r} has {len(stack)} layers: give at most as many")
    for module in (model.embeddings, *stack[:layers]):
        module.requires_grad_(False)


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers from logging what we check ourselves."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
