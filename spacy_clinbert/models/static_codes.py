"""`spacy_clinbert.CodeVectors.v1`: a vector for each code, whatever stands around it."""

from functools import partial
from pathlib import Path
from typing import Any, Callable, List, Optional, Tuple, cast

import numpy as np
import srsly
from spacy import registry
from spacy.tokens import Doc
from thinc.api import Model, Shim
from thinc.types import Floats2d

from ..errors import ClinbertError
from .code_vocabulary import CodeVocabulary, read_codes
from .passes import check_range

# The table in a folder that `clinbert ehr vectors` wrote, and its name there.
VECTORS, TABLE = "vectors.safetensors", "vectors"


@registry.architectures("spacy_clinbert.CodeVectors.v1")
def CodeVectors(name: str, width: Optional[int] = None) -> Model[List[Doc], List[Floats2d]]:
    """Build an encoder of patients that gives each code its vector, which is trained further.

    Nothing is loaded until `initialize` or `from_bytes`. Codes that it does not know share one vector.

    name (str): folder that `clinbert ehr vectors` wrote; or one of prepared patients, whose codes then start from
        random vectors of about unit length.
    width (Optional[int]): of the vectors; needed where they are random, else checked.
    RETURNS (Model[List[Doc], List[Floats2d]]): rows of shape (len(doc), width) per Doc.
    RAISES (ClinbertError): for a setting out of range.
    """
    check_range("CodeVectors", "width", width, 1)
    return Model("code_vectors", forward, init=partial(init, name=name), dims={"nO": width}, shims=[CodesShim(None)])


class CodesShim(Shim):
    """The codes of a table, saved with it."""

    _model: Optional[CodeVocabulary]

    def finish_update(self, optimizer: Any) -> None:
        """Codes do not learn."""

    def to_device(self, device_type: str, device_id: int) -> None:
        """Codes are nowhere."""

    def to_bytes(self) -> bytes:
        """The keys of the codes."""
        return srsly.msgpack_dumps(self._model.keys if self._model else [])

    def from_bytes(self, bytes_data: bytes) -> "CodesShim":
        """Restore what `to_bytes` wrote."""
        keys = srsly.msgpack_loads(bytes_data)
        self._model = CodeVocabulary(keys) if keys else None
        return self

    @property
    def codes(self) -> CodeVocabulary:
        """The codes; raises a ClinbertError before there are any."""
        if self._model is None:
            raise ClinbertError("CodeVectors has no codes yet: call nlp.initialize(), or load a trained pipeline")
        return self._model


def init(model: Model, X: Optional[List[Doc]] = None, Y: object = None, *, name: str) -> None:
    """Read codes and vectors, unless they are present (a pipeline that was loaded and is trained further)."""
    shim: Any = model.shims[0]
    if shim._model is not None:
        return
    folder = Path(name).expanduser()
    # Without a hierarchy: codes that only it knows have no vector.
    codes = CodeVocabulary(read_codes(folder).keys)
    table: Optional[Any] = read_table(folder, len(codes)) if (folder / VECTORS).is_file() else None
    width = model.get_dim("nO") if model.has_dim("nO") else None
    if table is None and width is None:
        raise ClinbertError(f"CodeVectors: {folder} holds no {VECTORS}: set width for random vectors")
    if table is None:
        assert width is not None
        table = np.random.normal(0.0, width**-0.5, (len(codes), width)).astype("float32")
    if width not in (None, table.shape[1]):
        raise ClinbertError(f"CodeVectors: width = {width}, but the vectors in {folder} have {table.shape[1]}")
    model.set_dim("nO", table.shape[1])
    model.set_param("E", model.ops.asarray2f(cast(Any, table)))
    shim._model = codes


def read_table(folder: Path, codes: int) -> np.ndarray:
    """Read the vectors of a folder, shape (codes, width)."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        table = load_file(folder / VECTORS)[TABLE]
    except (OSError, SafetensorError, KeyError):
        raise ClinbertError(f"{folder / VECTORS} cannot be read: make it again with `clinbert ehr vectors`") from None
    if table.ndim != 2 or len(table) != codes:
        raise ClinbertError(f"{folder / VECTORS} has not a vector for each code of codes.json: copy the folder again")
    return table


def forward(
    model: Model, docs: List[Doc], is_train: bool
) -> Tuple[List[Floats2d], Callable[[List[Floats2d]], List[Doc]]]:
    """Look the codes up."""
    codes: CodeVocabulary = model.shims[0].codes  # type: ignore[attr-defined]
    table = cast(Floats2d, model.get_param("E"))
    ids = [model.ops.asarray1i(cast(Any, codes.encode([token.text for token in doc]))) for doc in docs]

    def backprop(d_rows: List[Floats2d]) -> List[Doc]:
        d_table = model.ops.alloc2f(*table.shape)
        for of_doc, gradient in zip(ids, d_rows):
            model.ops.scatter_add(d_table, of_doc, gradient)
        model.inc_grad("E", d_table)
        return []

    return [table[of_doc] for of_doc in ids], backprop
