"""Encoders of codes: their folders, and checkpoints that the published code of Med-BERT made."""

import io
import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

import torch

from ..errors import ClinbertError
from .checkpoints import quiet_transformers
from .code_bert import CodeBert, CodeBertConfig
from .code_styles import STYLES
from .code_vocabulary import CODES, CodeVocabulary, read_codes, read_json

# What transformers' converter of TensorFlow checkpoints wrote; its layer norms have the names of TensorFlow.
ORIGINAL = "pytorch_model.bin"
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


class CodeCheckpoint(NamedTuple):
    """An encoder of codes as it was read."""

    model: CodeBert
    vocabulary: CodeVocabulary


def read_code_checkpoint(name: str, style: Optional[str] = None) -> CodeCheckpoint:
    """Read an encoder of codes.

    name (str): folder that `clinbert ehr pretrain` wrote; or, in the style "original" only, one that holds the
        pytorch_model.bin into which a checkpoint of the published code was converted, its config.json, and its
        dictionary of codes in a file *.types.
    style (str | None): what the encoder must be; None for what its folder says.
    RETURNS (CodeCheckpoint): the encoder and its vocabulary.
    RAISES (ClinbertError): if the folder holds no such encoder, or one of another style.
    """
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        raise ClinbertError(f"{name!r} is no folder with a config.json: give one that `clinbert ehr pretrain` wrote")
    if (folder / "model.safetensors").is_file():
        checkpoint = _read_ours(folder)
    elif (folder / ORIGINAL).is_file() and style == "original":
        checkpoint = _read_original(folder)
    elif (folder / ORIGINAL).is_file():
        raise ClinbertError(f'{folder / ORIGINAL} is read only as original Med-BERT: set style = "original"')
    else:
        raise ClinbertError(f"{folder} holds no model.safetensors: give a folder that `clinbert ehr pretrain` wrote")
    found = checkpoint.model.config.style
    if style not in (None, found):
        raise ClinbertError(f'the encoder in {folder} is of the style "{found}": set style = "{found}"')
    return checkpoint


def _read_ours(folder: Path) -> CodeCheckpoint:
    if read_json(folder / "config.json").get("model_type") != CodeBertConfig.model_type:
        raise ClinbertError(f"{folder} holds no encoder of codes: give a folder that `clinbert ehr pretrain` wrote")
    vocabulary = read_codes(folder)
    try:
        with quiet_transformers():
            model, info = CodeBert.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
    except Exception as error:
        # Damaged files show as errors of every type.
        raise _unusable(folder, error) from None
    if info["missing_keys"] or info["mismatched_keys"]:
        raise ClinbertError(f"the weights in {folder} are not those of its config.json: copy its files again")
    return _checked(folder, model, vocabulary)


def _checked(folder: Path, model: CodeBert, vocabulary: CodeVocabulary) -> CodeCheckpoint:
    config = model.config
    if config.style not in STYLES or STYLES[config.style].specials != vocabulary.specials:
        raise ClinbertError(f"{folder / CODES} is not of the style {config.style!r} of config.json: copy it again")
    shape = list(vocabulary.ancestor_table().shape) if vocabulary.ancestors else [0, 0]
    if len(vocabulary) > config.vocab_size or shape != config.ancestor_shape:
        raise ClinbertError(f"{folder / CODES} has not the codes of the weights beside it: copy the folder again")
    return CodeCheckpoint(model, vocabulary)


def _unusable(folder: Path, error: Exception) -> ClinbertError:
    return ClinbertError(f"the encoder in {folder} cannot be loaded ({type(error).__name__}): copy its files again")


def _read_original(folder: Path) -> CodeCheckpoint:
    types = sorted(folder.glob("*types*"))
    if len(types) != 1:
        raise ClinbertError(f"{folder} has {len(types)} files *.types: put the dictionary of the checkpoint there")
    settings = read_json(folder / "config.json")
    # The published config.json has neither style nor ids; what else is in it is BERT's.
    config = CodeBertConfig(**{**settings, "style": "original", "pooling": "first_pooler", "pad_token_id": 0})
    keys = read_types(types[0])
    try:
        weights = torch.load(folder / ORIGINAL, map_location="cpu", weights_only=True)
        own = {_rename(key): tensor for key, tensor in weights.items() if key.startswith("bert.")}
        model = CodeBert(config)
        model.load_state_dict({key: tensor for key, tensor in own.items() if key != "embeddings.position_ids"})
    except Exception as error:
        raise _unusable(folder, error) from None
    return _checked(folder, model.eval(), CodeVocabulary(keys))


def _rename(key: str) -> str:
    for old, new in OLD_NAMES.items():
        key = key.replace(old, new)
    return key.removeprefix("bert.")


class _Plain(pickle.Unpickler):
    """Reads dictionaries, texts and numbers; anything that has to be imported is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse."""
        raise pickle.UnpicklingError(f"{module}.{name}")


def read_types(path: Path) -> list[str]:
    """Read the dictionary of codes of original Med-BERT.

    path (Path): JSON, or a pickle, of a mapping from codes to their ids; what a pickle would import is not.
    RETURNS (list[str]): the codes in id order; an id without a code has a name that no code has.
    RAISES (ClinbertError): if it holds anything else.
    """
    try:
        content = path.read_bytes()
        # Python 2, whose texts are bytes, may have written it.
        found = read_json(path) if content[:1] == b"{" else _Plain(io.BytesIO(content), encoding="bytes").load()
        ids = {key.decode() if isinstance(key, bytes) else key: number for key, number in found.items()}
    except ClinbertError:
        raise
    except Exception as error:
        raise ClinbertError(
            f"{path} is no dictionary of codes ({type(error).__name__}): give that of the checkpoint, pickle or JSON"
        ) from None
    numbers = set(ids.values())
    plain = all(isinstance(key, str) and type(number) is int for key, number in ids.items())
    if not plain or len(numbers) < len(ids) or not ids or not 0 <= min(numbers) <= max(numbers) < 10_000_000:
        raise ClinbertError(f"{path} is no mapping from codes to different ids: give the dictionary of the checkpoint")
    keys = [f"[unused {number}]" for number in range(max(numbers) + 1)]
    for key, number in ids.items():
        keys[number] = key
    return keys


def code_files(model: Any, vocabulary: CodeVocabulary) -> dict[str, bytes]:
    """The files of an encoder's folder (configuration, safetensors, codes) by name."""
    with tempfile.TemporaryDirectory() as folder, quiet_transformers():
        save_code_checkpoint(model, vocabulary, Path(folder))
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def save_code_checkpoint(model: Any, vocabulary: CodeVocabulary, folder: Path) -> None:
    """Write an encoder, with its heads where it has them, into an empty folder."""
    model.save_pretrained(folder, safe_serialization=True, max_shard_size="1TB")
    for name, content in vocabulary.to_files().items():
        (folder / name).write_bytes(content)


def from_code_files(files: Mapping[str, bytes]) -> CodeCheckpoint:
    """An encoder out of the files of its folder."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            # Names come from a file that may have been tampered with: none may lead out of the folder.
            (Path(folder) / Path(name).name).write_bytes(content)
        return read_code_checkpoint(folder)
