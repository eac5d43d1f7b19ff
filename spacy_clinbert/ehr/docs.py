"""A patient as a Doc: words are codes, sentences are visits."""

from collections.abc import Mapping, Sequence
from typing import Any

from spacy.tokens import Doc, Token
from spacy.vocab import Vocab

# Keys in `doc.user_data`.
ID, RANKS, DAYS = "clinbert_id", "clinbert_ranks", "clinbert_days"
BIRTH, SEX, FIRST = "clinbert_birth", "clinbert_sex", "clinbert_first_admit"


def make_patient(row: Mapping[str, Any], codes: Sequence[str], vocab: Vocab, limit: int = 0) -> Doc:
    """Make the Doc of a patient.

    Its words are keys of codes, such as `ICD10CM/I50`, or `[UNK]`; its sentences are visits. `doc.user_data` holds
    `clinbert_id`; `clinbert_ranks` and `clinbert_days`, a number for each word; `clinbert_birth` and
    `clinbert_first_admit`, ISO dates, and `clinbert_sex`, each empty where unknown. Days count from the first visit of
    the patient, also where the Doc begins later.

    row (Mapping[str, Any]): a row of SEQUENCES.
    codes (Sequence[str]): the keys by id.
    vocab (Vocab): of the pipeline.
    limit (int): keep so many codes, the latest; 0 for all. The first visit may then lack its first codes.
    RETURNS (Doc): the patient.
    """
    register_extensions()
    latest = slice(-limit if limit else None, None)
    visits = row["visit"][latest]
    starts = [number == 0 or visit != visits[number - 1] for number, visit in enumerate(visits)]
    doc = Doc(vocab, words=[codes[number] for number in row["input_ids"][latest]], sent_starts=starts)
    first = row["first_admit"]
    doc.user_data.update(
        {
            ID: row["subject_id"],
            RANKS: row["rank"][latest],
            DAYS: row["day"][latest],
            BIRTH: row["birth"].isoformat() if row["birth"] else "",
            SEX: row["sex"] or "",
            FIRST: first.date().isoformat() if first else "",
        }
    )
    return doc


def register_extensions() -> None:
    """Register the attributes of patients; a further call changes nothing.

    `Token._.clinbert_visit`, `._.clinbert_rank` and `._.clinbert_day`; `Doc._.clinbert_id`, `._.clinbert_birth` and
    `._.clinbert_sex`.
    """
    Token.set_extension("clinbert_visit", getter=get_visit, force=True)
    Token.set_extension("clinbert_rank", getter=get_rank, force=True)
    Token.set_extension("clinbert_day", getter=get_day, force=True)
    Doc.set_extension("clinbert_id", getter=get_id, force=True)
    Doc.set_extension("clinbert_birth", getter=get_birth, force=True)
    Doc.set_extension("clinbert_sex", getter=get_sex, force=True)


def get_visit(token: Token) -> int:
    """The number of a code's visit in its Doc, from 1."""
    starts = token.doc.to_array("SENT_START")[1 : token.i + 1]
    return 1 + int((starts == 1).sum())


def get_rank(token: Token) -> int:
    """The order of a code in its visit as the source states it, from 1; 0 where unknown."""
    return _number(token, RANKS)


def get_day(token: Token) -> int:
    """The days from the patient's first visit to that of a code; 0 where unknown."""
    return _number(token, DAYS)


def get_id(doc: Doc) -> str:
    """The id of the patient, or of any document that came with one; "" where unknown."""
    return str(doc.user_data.get(ID, ""))


def get_birth(doc: Doc) -> str:
    """The patient's birth, an ISO date; "" where unknown."""
    return str(doc.user_data.get(BIRTH, ""))


def get_sex(doc: Doc) -> str:
    """The patient's sex, "F" or "M"; "" where unknown."""
    return str(doc.user_data.get(SEX, ""))


def _number(token: Token, key: str) -> int:
    numbers = token.doc.user_data.get(key, ())
    return int(numbers[token.i]) if len(numbers) == len(token.doc) else 0
