"""A DocBin written while its Docs come, in memory that does not grow with their number."""

import struct
import tempfile
import zlib
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Dict, List, Optional, Set, Type

import numpy
from spacy.attrs import ENT_IOB, ENT_TYPE, ORTH, SPACY
from spacy.tokens import Doc
from srsly.msgpack import Packer

from ..errors import ClinbertError

# What a corpus knows of its tokens; DocBin wants ORTH first, and blanks apart.
ATTRS = [ORTH, ENT_IOB, ENT_TYPE]
CHUNK = 1 << 20
# msgpack gives the size of a binary field 32 bits.
LARGEST = (1 << 32) - 1


class DocBinWriter:
    """Write a file that `DocBin().from_disk` reads (spaCy's DocBin, version 0.1).

    A DocBin in memory takes some 50 kB a note. Here, its columns wait in temporary files; only the set of its strings
    is kept.

    path (Path): the file; it appears when the block ends well.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.strings: Set[str] = {""}
        self.count = 0
        # tokens, spaces and lengths are arrays, one after the other; the rest are msgpack lists, one item a Doc.
        names = ("tokens", "spaces", "lengths", "cats", "flags", "span_groups", "user_data")
        self._files = ExitStack()
        self._columns: Dict[str, BinaryIO] = {
            name: self._files.enter_context(tempfile.TemporaryFile(dir=path.parent))  # noqa: SIM115
            for name in names
        }
        self._orths: Set[int] = set()
        # One for all: each new packer of srsly asks every installed package for extensions, a third of a millisecond.
        self._packer = Packer(use_bin_type=True)

    def __enter__(self) -> "DocBinWriter":
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        with self._files:
            if kind is None:
                self._finish()

    def add(self, doc: Doc) -> None:
        """Add a Doc: its words, entities, categories, span groups and user data.

        doc (Doc): the Doc.
        """
        array = doc.to_array([*ATTRS, SPACY])
        self._keep_strings(doc, array)
        columns = self._columns
        columns["tokens"].write(array[:, :3].tobytes("C"))
        columns["spaces"].write(array[:, 3].astype(bool).tobytes())
        columns["lengths"].write(numpy.int32(len(doc)).tobytes())
        pack = self._packer.pack
        columns["cats"].write(pack(doc.cats))
        columns["flags"].write(pack({"has_unknown_spaces": doc.has_unknown_spaces}))
        # As `doc.spans.to_bytes()` does, less one packer.
        columns["span_groups"].write(pack(pack({group.to_bytes(): [key] for key, group in doc.spans.items()})))
        columns["user_data"].write(pack(pack(doc.user_data)))
        self.count += 1

    def _keep_strings(self, doc: Doc, array: numpy.ndarray) -> None:
        fresh = set(array[:, 0].tolist()) - self._orths
        self._orths |= fresh
        self.strings.update(doc.vocab.strings[orth] for orth in fresh)
        self.strings.update(ent.label_ for ent in doc.ents)
        self.strings.update(span.label_ for group in doc.spans.values() for span in group)

    def _finish(self) -> None:
        if max(column.tell() for column in self._columns.values()) > LARGEST:
            raise ClinbertError(f"{self.path.name}: a DocBin cannot hold so many tokens: convert in parts")
        packer = self._packer
        fields: List[tuple[str, Any]] = [("version", "0.1"), ("attrs", [int(attr) for attr in ATTRS])]
        fields.append(("strings", sorted(self.strings)))
        compressor = zlib.compressobj()
        with self.path.open("wb") as out:

            def write(data: bytes) -> None:
                out.write(compressor.compress(data))

            write(packer.pack_map_header(len(fields) + len(self._columns)))
            for name, value in fields:
                write(packer.pack(name) + packer.pack(value))
            for name, column in self._columns.items():
                size = column.tell()
                binary = name in ("tokens", "spaces", "lengths")
                write(packer.pack(name) + (_bin_header(size) if binary else packer.pack_array_header(self.count)))
                column.seek(0)
                while data := column.read(CHUNK):
                    write(data)
            out.write(compressor.flush())


def _bin_header(size: int) -> bytes:
    # bin 32 of the msgpack specification.
    return b"\xc6" + struct.pack(">I", size)
