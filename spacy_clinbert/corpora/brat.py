"""brat standoff: a .txt file and a .ann file of annotations (Stenetorp et al. 2012, EACL demonstrations, 102-107).

The pairs lie side by side, in one folder or in folders named by split. The lines of a .ann file, by their first letter:

    T7<tab>Duration 87 93;94 98<tab>for 30 days   a mention: label, fragments in characters, end exclusive, their text
    R6<tab>Duration-Drug Arg1:T7 Arg2:T1          a relation between mentions
    E1<tab>Stop:T3 Theme:T1                       an event: from its trigger to each argument, a relation named by role
    *<tab>Equiv T1 T2 T3                          equivalent mentions: a relation of that name from each to the next
    A1<tab>Negation T3                            an attribute, a flag or with a value; older files say M

Attributes become the mention's assertion: `Negation`, `Certainty=low`, several with a blank between. Normalisations (N)
and notes (#) are not read. Ids may be used twice: all such mentions are kept, but no relation can name them. What is to
know of offsets stands in `brat_mentions`.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from ..errors import ClinbertError
from .brat_mentions import Line, place, unbroken
from .folders import files, relative, split_by
from .formats import Format
from .records import Entry, Mention, Record, Rejection, Relation, read_text

_FORMS = {
    "T": re.compile(
        r"(?P<id>T[0-9]\S*)\t(?P<label>\S+) (?P<at>[0-9]{1,9} [0-9]{1,9}(?:;[0-9]{1,9} [0-9]{1,9})*)\t(?P<said>.+)",
        re.DOTALL,
    ),
    "R": re.compile(r"(?P<id>R[0-9]\S*)\t(?P<label>\S+) [^\s:]+:(?P<head>\S+) [^\s:]+:(?P<tail>\S+)\s*"),
    "E": re.compile(r"(?P<id>E[0-9]\S*)\t[^\s:]+:(?P<trigger>\S+)(?P<arguments>(?: [^\s:]+:\S+)*)\s*"),
    "*": re.compile(r"(?P<id>\*)\t(?P<label>\S+)(?P<members>(?: \S+){2,})\s*"),
    "A": re.compile(r"(?P<id>[AM][0-9]\S*)\t(?P<label>\S+) (?P<mention>\S+)(?: (?P<value>\S+))?\s*"),
}
_FORMS["M"] = _FORMS["A"]
_ATTRIBUTES = re.compile(r"[^\s=]+(=\S+)?( [^\s=]+(=\S+)?)*")
_NAME = re.compile(r"[^/.][^/]*(/[^/.][^/]*)*")


def entries(source: Path) -> Iterator[Entry]:
    """Find the documents of a corpus, in the order of their names.

    source (Path): folder of the corpus, plain or with a folder for each split.
    RETURNS (Iterator[Entry]): the documents: all that have a .txt or a .ann file.
    RAISES (ClinbertError): if there is no such folder.
    """
    if not source.is_dir():
        raise ClinbertError(f"{source}: no such folder: give the folder of the .txt and .ann files")
    for stem in sorted({path.with_suffix("") for path, _ in files(source, (".ann", ".txt"), "brat")}):
        # Documents are named as their authors like, such as stress-test-2: only folders say the split.
        split = split_by(stem.relative_to(source).parts[:-1])
        yield Entry(relative(stem, source), split, partial(_load, source, stem))


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as .txt and .ann files, named by their ids.

    records (Iterable[Record]): records whose labels hold no blanks; mentions may nest, overlap and have fragments.
    folder (Path): where the files go.
    RAISES (ClinbertError): if the form cannot hold a record.
    """
    for record in records:
        if not _NAME.fullmatch(record.id):
            raise ClinbertError(f"record {record.id!r}: its files cannot have that name: give it another id")
        if record.cats or record.parts:
            raise ClinbertError(f"{record.id}: brat holds mentions and relations, no categories and no parts of a text")
        lines = "".join(f"{line}\n" for line in _lines(record))
        (folder / record.id).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{record.id}.txt").write_bytes(record.text.encode("utf-8"))
        (folder / f"{record.id}.ann").write_bytes(lines.encode("utf-8"))


def _lines(record: Record) -> Iterator[str]:
    attributes: List[str] = []
    for number, mention in enumerate(record.mentions, start=1):
        name = f"{record.id}, mention {number}"
        pieces = [piece for fragment in mention.fragments for piece in unbroken(record.text, fragment, name)]
        offsets = ";".join(f"{start} {end}" for start, end in pieces)
        said = re.sub(r"\s", " ", " ".join(record.text[start:end] for start, end in pieces))
        yield f"T{number}\t{_label(mention.label, name)} {offsets}\t{said}"
        if mention.assertion and not _ATTRIBUTES.fullmatch(mention.assertion):
            raise ClinbertError(f"{name}: brat holds an assertion as words and name=value, one blank apart: rename it")
        for assertion in mention.assertion.split():
            label, _, value = assertion.partition("=")
            attributes.append(f"{label} T{number} {value}".rstrip())
    for number, (head, tail, label) in enumerate(record.relations, start=1):
        yield f"R{number}\t{_label(label, f'{record.id}, relation {number}')} Arg1:T{head + 1} Arg2:T{tail + 1}"
    for number, attribute in enumerate(attributes, start=1):
        yield f"A{number}\t{attribute}"


def _label(label: str, name: str) -> str:
    if not re.fullmatch(r"\S+", label):
        raise ClinbertError(f"{name}: brat holds no label with blanks: rename {label!r}")
    return label


def _load(source: Path, stem: Path) -> Record:
    text, path = read_text(Path(f"{stem}.txt")), Path(f"{stem}.ann")
    rows = list(_rows(path))
    file = relative(path, source)
    mentions, doubts = place(text, [_line(number, row) for number, row in rows if row["id"][0] == "T"], path, file)
    places = _places(mentions, rows)
    relations: List[Relation] = []
    for number, row in rows:
        for names, label in _claims(row):
            found = [index for name in names if (index := places.get(name)) is not None]
            if len(found) < len(names):
                reason = "left out: what it names is no mention, or stands for several"
                doubts.append(Rejection(file, row["id"] if row["id"] != "*" else f"line {number}", reason))
            elif len(names) == 2:
                relations.append(Relation(found[0], found[1], label))
            else:
                assertion = f"{mentions[found[0]].assertion} {label}".strip()
                mentions[found[0]] = mentions[found[0]]._replace(assertion=assertion)
    name = relative(stem, source)
    return Record(name, text, tuple(mentions), tuple(relations), annotations=file, doubts=tuple(doubts))


def _rows(path: Path) -> Iterator[Tuple[int, "re.Match[str]"]]:
    for number, line in enumerate(read_text(path).removeprefix("\ufeff").split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip() or line[0] in "N#":
            continue
        form = _FORMS.get(line[0])
        row = form.fullmatch(line) if form else None
        if row is None:
            raise ClinbertError(
                f"{path}, line {number}: no annotation of the form T1<tab>Label 0 7<tab>text, or another that brat has:"
                f" correct or remove it"
            )
        yield number, row


def _line(number: int, row: "re.Match[str]") -> Line:
    bounds = [fragment.split(" ") for fragment in row["at"].split(";")]
    return Line(number, row["id"], row["label"], tuple((int(start), int(end)) for start, end in bounds), row["said"])


def _places(mentions: Sequence[Mention], rows: Sequence[Tuple[int, "re.Match[str]"]]) -> Dict[str, Optional[int]]:
    """The index of the mention that an id stands for, its trigger's for an event; None if it stands for several."""
    places: Dict[str, Optional[int]] = {}
    for index, mention in enumerate(mentions):
        places[mention.id] = None if mention.id in places else index
    triggers = {row["id"]: row["trigger"] for _, row in rows if row["id"][0] == "E"}
    return places | {event: places.get(trigger) for event, trigger in triggers.items()}


def _claims(row: "re.Match[str]") -> Iterator[Tuple[Tuple[str, ...], str]]:
    """What a line says of mentions: of two, a relation; of one, an attribute."""
    kind = row["id"][0]
    if kind == "R":
        yield (row["head"], row["tail"]), row["label"]
    elif kind == "E":
        for argument in row["arguments"].split():
            role, _, name = argument.partition(":")
            # A role that occurs again is numbered.
            yield (row["id"], name), role.rstrip("0123456789") or role
    elif kind == "*":
        for pair in pairwise(row["members"].split()):
            yield pair, row["label"]
    elif kind in "AM":
        yield (row["mention"],), row["label"] + (f"={row['value']}" if row["value"] else "")


FORMAT = Format(
    name="brat",
    title="brat standoff: mentions with fragments, relations, attributes",
    entries=entries,
    write=write,
    gated=None,
    terms="those of the corpus",
)
