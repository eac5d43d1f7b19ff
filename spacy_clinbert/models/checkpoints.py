"""Hugging Face checkpoints: read by name, kept as bytes, and adjusted to a run's dropout and frozen layers."""

import contextlib
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Optional, TypeVar

from ..encoders import EncoderSource, resolve_encoder, unreachable
from ..errors import ClinbertError

# Seconds to wait for the hub's answer on whether it has a model.
HUB_TIMEOUT = 10

# What says that a folder holds a tokenizer; published models have one of them, if not all.
TOKENIZER_MARKS = ("tokenizer.json", "tokenizer_config.json", "vocab.txt")

Loaded = TypeVar("Loaded")


class Checkpoint(NamedTuple):
    """An encoder as it was read.

    model (PreTrainedModel): the encoder; with its pooler where that was asked for and its files hold one.
    tokenizer (PreTrainedTokenizerFast): its tokenizer.
    trained_length (int): the longest sequence, special pieces included, that it should be given.
    """

    model: Any
    tokenizer: Any
    trained_length: int


def read_checkpoint(name: str, pooler: bool = False) -> Checkpoint:
    """Read tokenizer and weights of a catalogued encoder, a hub id or a local folder.

    name (str): alias, hub id or folder.
    pooler (bool): whether to keep what BERT puts on `[CLS]`.
    RETURNS (Checkpoint): what was read.
    RAISES (ClinbertError): if it is none of these, cannot be reached, or holds no encoder with a fast tokenizer.
    """
    source = resolve_encoder(name)
    model, tokenizer = fetch(name, partial(load, pooler=pooler))
    if not tokenizer.is_fast:
        raise ClinbertError(f"the tokenizer of {name!r} has no fast form: add a tokenizer.json to its folder")
    length = source.entry.trained_length if source.entry is not None else tokenizer.model_max_length
    return Checkpoint(model, tokenizer, min(length, max_positions(model)))


def read_tokenizer(name: str) -> Any:
    """Read the tokenizer of an encoder, or one that a folder holds without a model.

    name (str): alias, hub id or folder; a folder of vocab.txt alone, as Google published its models, is BERT's.
    RETURNS (PreTrainedTokenizerFast): the tokenizer, with the casing of the catalogue or of its pieces where no file
        states it.
    RAISES (ClinbertError): if there is none, it cannot be reached or is damaged.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir() or (folder / "config.json").is_file():
        return fetch(name, load_tokenizer)
    if not any((folder / mark).is_file() for mark in TOKENIZER_MARKS):
        raise ClinbertError(f"tokenizer folder {folder} holds none of {', '.join(TOKENIZER_MARKS)}: give one that does")
    try:
        if (folder / "tokenizer_config.json").is_file() or not (folder / "vocab.txt").is_file():
            return load_tokenizer(EncoderSource(str(folder), None, None), True)
        from transformers import BertTokenizerFast

        pieces = (folder / "vocab.txt").read_text(encoding="utf-8").split()
        lower = not has_upper_case(piece for piece in pieces if not piece.startswith("["))
        return BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=lower, strip_accents=lower)
    except ClinbertError:
        raise
    except (OSError, ValueError) as error:
        raise unusable(name, error) from error


def fetch(name: str, load: Callable[[EncoderSource, bool], Loaded]) -> Loaded:
    """Load something of an encoder: out of its folder, else out of the hub's cache, else from the hub.

    name (str): alias, hub id or folder.
    load (Callable[[EncoderSource, bool], Any]): takes where it is, and whether only a folder or the hub's local cache
        is looked at; raises OSError where there is nothing.
    RETURNS (Any): what it gives.
    RAISES (ClinbertError): if files are damaged; if the hub does not have it or cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    source = resolve_encoder(name)
    try:
        return load(source, True)
    except OSError as error:
        if Path(source.location).is_dir():
            raise unusable(source.location, error) from error
    # One quick question tells whether the hub has it; transformers would retry for a minute where there is no network.
    try:
        HfApi().model_info(source.location, revision=source.revision, timeout=HUB_TIMEOUT)
        return load(source, False)
    except (OSError, HFValidationError) as error:
        raise unreachable(name) from error


def unusable(location: str, error: Exception) -> ClinbertError:
    """The error for files that are there but do not load."""
    return ClinbertError(f"the encoder in {location} cannot be loaded ({type(error).__name__}): copy its files again")


def load(source: EncoderSource, offline: bool, pooler: bool = False) -> tuple[Any, Any]:
    """Load model and tokenizer, quietly, but not a model whose weights are missing.

    source (EncoderSource): where they are.
    offline (bool): whether only a folder or the hub's local cache is looked at.
    pooler (bool): whether to keep the pooler; one that the files lack is drawn anew by transformers, and never kept.
    RETURNS (Tuple[PreTrainedModel, PreTrainedTokenizerFast]): model and tokenizer.
    RAISES (ClinbertError, OSError): if files are damaged; if there are none.
    """
    tokenizer = load_tokenizer(source, offline)
    model, absent = load_weights(source, offline, "AutoModel")
    # Where rows come from the last layer, a pooler would be saved untrained.
    if getattr(model, "pooler", None) is not None and (not pooler or any("pooler" in key for key in absent)):
        model.pooler = None
    return model, tokenizer


def load_tokenizer(source: EncoderSource, offline: bool) -> Any:
    """Load a tokenizer with the casing of the catalogue, and none that lower-cases by accident.

    source, offline: as for `load`.
    RETURNS (PreTrainedTokenizerFast): the tokenizer.
    RAISES (ClinbertError, OSError): if files are damaged; if there are none.
    """
    casing = source.entry.casing if source.entry is not None else None
    options = _options(source, offline)
    stated = _tokenizer_config(source.location, options)
    # RoBERTa's byte-level tokenizer takes words that were cut beforehand only with a blank put before each.
    words = {"add_prefix_space": True, **options}
    with _loading(source):
        kind = _tokenizer_class(stated)
        tokenizer = kind.from_pretrained(source.location, **words, **(casing or {}))
        if casing is None and "do_lower_case" not in stated and lower_cases_by_accident(tokenizer):
            tokenizer = kind.from_pretrained(source.location, **words, do_lower_case=False, strip_accents=False)
    return tokenizer


def _tokenizer_config(location: str, options: dict[str, Any]) -> dict[str, Any]:
    """What a tokenizer's own file states: nothing where there is none."""
    from transformers.utils import cached_file

    where = {name: options[name] for name in ("revision", "local_files_only")}
    try:
        path = cached_file(location, "tokenizer_config.json", **where)
        stated = json.loads(Path(path or "").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stated if isinstance(stated, dict) else {}


def _tokenizer_class(stated: dict[str, Any]) -> Any:
    """The fast form of the class that a tokenizer's file names, else `AutoTokenizer`, whose import takes seconds."""
    import transformers

    name = str(stated.get("tokenizer_class")).removesuffix("Fast")
    return getattr(transformers, f"{name}Fast", None) or transformers.AutoTokenizer


def load_weights(source: EncoderSource, offline: bool, architecture: str) -> tuple[Any, list[str]]:
    """Load a model of one of transformers' classes, in float32.

    source, offline: as for `load`.
    architecture (str): name of the class, such as "AutoModel".
    RETURNS (Tuple[PreTrainedModel, List[str]]): the model, and the tensors of its pooler and heads that the files lack
        and that are drawn anew.
    RAISES (ClinbertError, OSError): if files are damaged or tensors of the encoder missing; if there are no files.
    """
    import transformers

    with _loading(source):
        model, info = getattr(transformers, architecture).from_pretrained(
            source.location, torch_dtype="float32", output_loading_info=True, **_options(source, offline)
        )
    # The encoder is the whole model, or one part of it beside the heads.
    prefix = "" if model.base_model is model else f"{model.base_model_prefix}."
    absent = sorted(key for key in info["missing_keys"] if "position_ids" not in key)
    missing = [key for key in absent if key.startswith(prefix) and "pooler" not in key]
    if missing:
        raise ClinbertError(
            f"the weights in {source.location!r} lack {len(missing)} tensors of the encoder (first: {missing[0]}): "
            "copy its files again"
        )
    return model, absent


def _options(source: EncoderSource, offline: bool) -> dict[str, Any]:
    # Code that comes with a model is never run.
    return {"revision": source.revision or "main", "local_files_only": offline, "trust_remote_code": False}


@contextlib.contextmanager
def _loading(source: EncoderSource) -> Iterator[None]:
    try:
        with quiet_transformers():
            yield
    except OSError:
        raise
    except Exception as error:
        # Damaged and missing files show as errors of every type, from TypeError to SafetensorError.
        raise unusable(source.location, error) from error


def lower_cases_by_accident(tokenizer: Any) -> bool:
    """Whether a tokenizer lower-cases though no file says so and its vocabulary holds upper-case pieces.

    tokenizer (PreTrainedTokenizerFast): one whose file states nothing of casing: then transformers lower-cases where
        it is a BERT's, as Bio_ClinicalBERT's.
    """
    if not getattr(tokenizer, "do_lower_case", False):
        return False
    return has_upper_case(tokenizer.get_vocab().keys() - set(tokenizer.all_special_tokens))


def has_upper_case(pieces: Iterable[str]) -> bool:
    """Whether one of the wordpieces has an upper-case letter, so that they are of a cased model."""
    return any(piece != piece.lower() for piece in pieces)


def to_files(model: Any, tokenizer: Any) -> dict[str, bytes]:
    """The files of a Hugging Face folder (configuration, tokenizer, safetensors) by name; of a configuration, without
    safetensors.
    """
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        model.save_pretrained(folder, safe_serialization=True, max_shard_size="100GB")
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def from_files(files: dict[str, bytes], pooler: bool = False) -> tuple[Any, Any]:
    """Model and tokenizer out of the files of a Hugging Face folder; the pooler as for `load`."""
    with as_folder(files) as source:
        return load(source, offline=True, pooler=pooler)


def parts_from_files(files: dict[str, bytes]) -> tuple[Any, Any]:
    """Configuration and tokenizer out of the files of a Hugging Face folder without safetensors."""
    from transformers import AutoConfig

    with as_folder(files) as source, _loading(source):
        config = AutoConfig.from_pretrained(source.location, local_files_only=True, trust_remote_code=False)
        return config, load_tokenizer(source, offline=True)


@contextlib.contextmanager
def as_folder(files: dict[str, bytes]) -> Iterator[EncoderSource]:
    """Files as a folder, for a while."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            # Names come from a file that may have been tampered with: none may lead out of the folder.
            (Path(folder) / Path(name).name).write_bytes(content)
        yield EncoderSource(folder, None, None)


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
        # SDPA attention and Longformer's read their rate from an attribute rather than from a module.
        for attribute in ("dropout_prob", "attention_dropout", "dropout"):
            if isinstance(getattr(module, attribute, None), float):
                setattr(module, attribute, rate)


def freeze(model: Any, layers: int, name: str) -> None:
    """Take the gradient from the embeddings and the lowest layers.

    model (PreTrainedModel): the encoder.
    layers (int): how many layers; 0 leaves all trainable, the embeddings too.
    name (str): the encoder's name, for the error.
    RAISES (ClinbertError): if it has fewer layers.
    """
    import torch

    if layers == 0:
        return
    depth = model.config.num_hidden_layers
    stack = next((m for m in model.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == depth), None)
    if stack is None or layers > depth:
        raise ClinbertError(
            f"freeze_layers = {layers}, but {name!r} has {depth} layers to freeze: give at most as many"
        )
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
