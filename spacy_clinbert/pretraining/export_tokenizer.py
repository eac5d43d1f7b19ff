"""The tokenizer of an export: loaded by name, given the placeholders' tags, and read by workers without torch."""

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ClinbertError
from ..models.checkpoints import read_tokenizer
from .export_settings import ExportSettings
from .segments import TAGS

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPECIALS = ("cls_token", "sep_token", "mask_token", "pad_token")


def load_tokenizer(settings: ExportSettings) -> Any:
    """Load the tokenizer by name; a row of the catalogue says casing and accents.

    settings (ExportSettings): the name, the length and what becomes of placeholders: "tag" adds their tags.
    RETURNS (PreTrainedTokenizerFast): the tokenizer, with the length as its `model_max_length`.
    RAISES (ClinbertError): if there is none, it is damaged, or it has no BERT specials.
    """
    name = settings.tokenizer
    if not name:
        raise ClinbertError(f"the form {settings.form} needs a tokenizer: name one with --tokenizer")
    tokenizer = read_tokenizer(name)
    tokenizer.model_max_length = settings.length
    lacking = [special for special in SPECIALS if getattr(tokenizer, special, None) is None]
    if not tokenizer.is_fast or lacking:
        reason = f"it has no {' or '.join(lacking)}" if lacking else "it is not one of the tokenizers library"
        raise ClinbertError(f"tokenizer {name} cannot make BERT examples ({reason}): give that of a BERT")
    if settings.placeholders == "tag":
        tokenizer.add_special_tokens({"additional_special_tokens": list(TAGS.values())})
    return tokenizer


def read_wordpieces(folder: Path) -> "Tokenizer":
    """Read a saved tokenizer for notes, in which `[SEP]` or `[MASK]` is text; only the placeholders' tags are special.

    folder (Path): with the tokenizer.json that `save_pretrained` wrote.
    RETURNS (Tokenizer): of the tokenizers library, on one thread, without truncation or padding.
    """
    from tokenizers import Tokenizer

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    described = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for token in described["added_tokens"]:
        token["special"] = token["content"] not in TAGS.values()
    tokenizer = Tokenizer.from_str(json.dumps(described))
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def fingerprint(folder: Path) -> str:
    """The SHA-256 of a saved tokenizer: its vocabulary, casing and added tokens.

    folder (Path): with its tokenizer.json.
    RETURNS (str): hexadecimal.
    """
    return hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
