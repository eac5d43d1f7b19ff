"""The codes that an encoder knows, their ids, and the ancestors to which unknown codes back off."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ..errors import ClinbertError
from .code_styles import CLS, MASK, PAD, SPECIALS, UNK

CODES = "codes.json"
ANCESTORS = "ancestors.json"

# How the published sample of Med-BERT writes codes ("ICD9_150.6"), and how we do ("ICD9CM/1506").
ORIGINAL_SYSTEMS = {"ICD9_": "ICD9CM/", "ICD10_": "ICD10CM/"}


class CodeVocabulary:
    """Codes and their ids. Codes behind the last id are those that only the hierarchy knows: their own embedding is
    that of an unknown code, to which those of their ancestors are added.

    keys (Sequence[str]): codes in id order, such as "ICD10CM/I50"; ids 0 to 3 are `SPECIALS`, or id 0 is the padding
        and the mask of original Med-BERT, and all others codes.
    ancestors (Mapping[str, Sequence[str]]): for each code of the hierarchy, the keys of its ancestors.
    """

    def __init__(self, keys: Sequence[str], ancestors: Optional[Mapping[str, Sequence[str]]] = None) -> None:
        self.keys = list(keys)
        # An ancestor that no code of the vocabulary has gets no embedding, so that only what leads to one is of use.
        of_codes = {a for key in self.keys for a in (ancestors or {}).get(key, ())}
        useful = {key: [a for a in found if a in of_codes] for key, found in sorted((ancestors or {}).items())}
        self.ancestors = {key: found for key, found in useful.items() if found}
        self.ancestor_keys = sorted(of_codes)
        known = set(self.keys)
        self.beyond = [key for key in self.ancestors if key not in known]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def specials(self) -> bool:
        """Whether padding, mask, unknown code and `[CLS]` have ids of their own."""
        return tuple(self.keys[: len(SPECIALS)]) == SPECIALS

    @property
    def mask_id(self) -> int:
        """The id of the mask; in original Med-BERT that of the padding."""
        return MASK if self.specials else PAD

    @property
    def unknown_id(self) -> int:
        """The id of a code without one; original Med-BERT has none, so that it counts as masked."""
        return UNK if self.specials else PAD

    @property
    def cls_id(self) -> int:
        """The id of `[CLS]`, where there is one."""
        return CLS

    @property
    def first_code(self) -> int:
        """The id of the first code."""
        return len(SPECIALS) if self.specials else 1

    @cached_property
    def _ids(self) -> dict[str, int]:
        ids = {key: number for number, key in enumerate([*self.keys, *self.beyond])}
        if not self.specials:
            for key, number in list(ids.items()):
                ids.setdefault(our_key(key), number)
        return ids

    def encode(self, keys: Sequence[str]) -> np.ndarray:
        """Give the ids of codes: int64, shape (n_codes,)."""
        return np.array([self._ids.get(key, self.unknown_id) for key in keys], dtype=np.int64)

    def ancestor_table(self) -> np.ndarray:
        """The ids of each code's ancestors, from 1, filled up with 0: int64, shape (n_ids, most ancestors)."""
        numbers = {key: number for number, key in enumerate(self.ancestor_keys, 1)}
        found = [[numbers[a] for a in self.ancestors.get(key, ())] for key in [*self.keys, *self.beyond]]
        table = np.zeros((len(found), max(map(len, found), default=0)), dtype=np.int64)
        for row, ids in zip(table, found, strict=True):
            row[: len(ids)] = ids
        return table

    def to_files(self) -> dict[str, bytes]:
        """The files of an encoder's folder that hold it, by name."""
        files: dict[str, Any] = {CODES: self.keys}
        if self.ancestors:
            files[ANCESTORS] = self.ancestors
        return {name: (json.dumps(content, indent=0) + "\n").encode() for name, content in files.items()}


def our_key(key: str) -> str:
    """Write a code of original Med-BERT as we do; others stay as they are."""
    for theirs, ours in ORIGINAL_SYSTEMS.items():
        if key.startswith(theirs):
            return ours + key.removeprefix(theirs).replace(".", "").strip().upper()
    return key


def read_codes(folder: Path) -> CodeVocabulary:
    """Read a vocabulary.

    folder (Path): holds codes.json, and ancestors.json where the encoder uses a hierarchy.
    RETURNS (CodeVocabulary): it.
    RAISES (ClinbertError): if a file is missing or of another form.
    """
    keys = read_json(folder / CODES)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(set(keys)) < len(keys):
        raise ClinbertError(f"{folder / CODES} is no list of different codes: copy the folder again")
    return CodeVocabulary(keys, read_ancestors(folder / ANCESTORS) if (folder / ANCESTORS).is_file() else None)


def read_ancestors(path: Path) -> dict[str, list[str]]:
    """Read a hierarchy of codes.

    path (Path): JSON, a mapping from the key of each code to the keys of its ancestors.
    RETURNS (dict[str, list[str]]): it.
    RAISES (ClinbertError): if it is missing or of another form.
    """
    found = read_json(path)
    if not isinstance(found, dict) or not all(
        isinstance(ancestors, list) and all(isinstance(key, str) for key in ancestors) for ancestors in found.values()
    ):
        raise ClinbertError(f"{path} is no mapping from codes to lists of their ancestors: give such a file")
    return found


def read_json(path: Path) -> Any:
    """Read a JSON file, or say in one sentence that it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ClinbertError(
            f"{path} is missing: give a folder that `clinbert ehr prepare` or `pretrain` wrote"
        ) from None
    except (OSError, ValueError) as error:
        raise ClinbertError(f"{path} cannot be read ({type(error).__name__}): copy it again") from None
