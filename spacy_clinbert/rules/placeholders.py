"""De-identification placeholders: what MIMIC-III and MIMIC-IV put where a patient's or a clinician's details stood."""

import re
from typing import List, NamedTuple

# Bounded on either side of the one line end: an unclosed marker neither swallows the note nor costs more than itself.
_BODY = r"[^\[\]*\r\n]{0,80}"
_MIMIC3 = rf"(?<=\[)\*\*({_BODY}(?:(?:\r\n|\r|\n){_BODY})?)\*\*\]"
# Three underscores alone are MIMIC-IV's blank; a longer run is a ruler or a line to write on.
_MIMIC4 = r"(?<=(?<!_)_)__(?!_)"
# Behind a class of first characters the scan passes over all others at once.
_PLACEHOLDER = re.compile(rf"[\[_](?:{_MIMIC3}|{_MIMIC4})")

# The words of PhysioNet's de-identification software (Neamatullah et al. 2008, https://doi.org/10.1186/1472-6947-8-32)
# as they stand in MIMIC-III. The first match wins: "Hospital Ward Name" is a hospital, "Pager number" a phone.
_KINDS = [
    ("hospital", r"hospital|ward ?name|\bclinic\b"),
    ("phone", r"phone|\bfax|pager|beeper"),
    ("other", r"e-?mail|\burl\b|contact"),
    ("age", r"\bage\b"),
    ("location", r"location|address|\bstreet|\bcity\b|\bstate\b|zip ?code|\bcountry|\bcounty|\bpo box|apartment"),
    ("name", r"name|initials?\b|dictator|attending"),
    ("date", r"\bdate|\bmonth|\bday|\byear|holiday|^[\d\s]*[-/][-/\d\s]*$|^\d{4}$"),
    ("id", r"number|identifier|\bssn\b|\bmrn\b|\bid\b"),
]
_KIND_PATTERNS = [(kind, re.compile(words, re.IGNORECASE)) for kind, words in _KINDS]


class Placeholder(NamedTuple):
    """One placeholder in a text.

    start (int): offset of its first character.
    end (int): offset after its last character.
    kind (str): what it hides: name, date, age, location, hospital, phone, id or other.
    """

    start: int
    end: int
    kind: str


def find_placeholders(text: str) -> List[Placeholder]:
    """Find the placeholders of a de-identified note: MIMIC-III's `[**Known lastname 202**]`, MIMIC-IV's `___`.

    text (str): the note; surrogates (i2b2) are ordinary text.
    RETURNS (List[Placeholder]): in order of place, disjoint.
    """
    return [Placeholder(match.start(), match.end(), _kind(match[1] or "")) for match in _PLACEHOLDER.finditer(text)]


def _kind(body: str) -> str:
    words = " ".join(body.split())
    return next((kind for kind, pattern in _KIND_PATTERNS if pattern.search(words)), "other")
