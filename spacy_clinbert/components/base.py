"""What the rule components share: a pipe without weights, whose whole state is its settings."""

from pathlib import Path
from typing import Any, ClassVar, Dict, Iterable, Tuple, Union

import srsly
from spacy import util
from spacy.pipeline import Pipe

from .extensions import register_extensions


class RulePipe(Pipe):
    """A pipe that calls rules, saved as JSON; as with spaCy's sentencizer, what was saved wins over the config at load.

    fields (Tuple[str, ...]): The attributes that are saved, JSON-serializable.
    """

    fields: ClassVar[Tuple[str, ...]] = ()

    def __init__(self, name: str) -> None:
        """Create the pipe and register the extension attributes.

        name (str): The component's name in the pipeline.
        """
        register_extensions()
        self.name = name

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize the settings.

        exclude (Iterable[str]): Names of parts to leave out ("settings").
        RETURNS (bytes): The serialized pipe.
        """
        return srsly.msgpack_dumps(util.to_dict({"settings": self._settings}, exclude))

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "RulePipe":
        """Take over serialized settings.

        bytes_data (bytes): What `to_bytes` gave.
        exclude (Iterable[str]): Names of parts to leave out ("settings").
        RETURNS (RulePipe): This pipe.
        """
        util.from_dict(srsly.msgpack_loads(bytes_data), {"settings": self._restore}, exclude)
        return self

    def to_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> None:
        """Save the settings into a folder.

        path (Union[str, Path]): The folder, made where it does not exist.
        exclude (Iterable[str]): Names of parts to leave out ("settings").
        """
        util.to_disk(path, {"settings.json": lambda file: srsly.write_json(file, self._settings())}, exclude)

    def from_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> "RulePipe":
        """Take over the settings saved in a folder.

        path (Union[str, Path]): The folder that `to_disk` wrote.
        exclude (Iterable[str]): Names of parts to leave out ("settings").
        RETURNS (RulePipe): This pipe.
        """
        util.from_disk(path, {"settings.json": lambda file: self._restore(srsly.read_json(file))}, exclude)
        return self

    def _settings(self) -> Dict[str, Any]:
        return {field: getattr(self, field) for field in self.fields}

    def _restore(self, settings: Dict[str, Any]) -> None:
        for field in self.fields:
            setattr(self, field, settings[field])
