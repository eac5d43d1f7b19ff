"""Shapes of section titles: whether a name before a colon, or alone on its line, heads a section."""

import re
from itertools import pairwise
from typing import Literal, NamedTuple, Optional, Tuple

from .lexicon import Entry, Lexicon, normalise

Shape = Literal[
    "caps_colon",
    "title_colon",
    "lower_colon",
    "marked_colon",
    "caps_alone",
    "title_alone",
    "part_alone",
    "problem_alone",
    "hash",
    "glued",
    "inline",
]
Judgement = Optional[Tuple[Shape, Optional[Entry]]]

LONGEST = 80
MOST_WORDS = 10

# Categories whose sections a line may divide by problems, and those that it may divide by body systems or regions.
BY_PROBLEM = frozenset(
    {"assessment", "plan", "assessment_and_plan", "brief_hospital_course", "emergency_course", "problem_list"}
    | {"impression", "recommendations"}
)
EXAMS = frozenset({"physical_exam", "review_of_systems", "mental_status", "functional_status"})
RESULTS = frozenset({"diagnostic_studies", "laboratory", "imaging", "ecg", "echocardiogram", "findings", "pathology"})
BY_SYSTEM = BY_PROBLEM | EXAMS | RESULTS | {"past_medical_history", "technique", "procedure_description"}
SYSTEMS = frozenset(
    {"neurological", "cardiovascular", "respiratory", "gastrointestinal", "genitourinary", "musculoskeletal", "skin"}
    | {"endocrine", "infectious_disease", "hematologic", "access", "pain", "psychosocial"}
)
DRUGS = frozenset({"medications", "admission_medications", "discharge_medications", "allergies"})
# Categories whose text is often a list without bullets, so that a name alone on its line is rather an item.
LISTED = frozenset(
    {"chief_complaint", "past_medical_history", "past_surgical_history", "problem_list", "procedure", "diagnosis"}
    | {"admission_diagnosis", "discharge_diagnosis", "preoperative_diagnosis", "postoperative_diagnosis"}
)
# What labels a row there and heads a section elsewhere: the place of an appointment, the fluids of a flow sheet.
_PLACE = frozenset({"demographics", "service"})
ROWS = {"follow_up": _PLACE, "discharge_instructions": _PLACE, "vital_signs": frozenset({"counts", "devices"})}

_PARENTHESES = re.compile(r"\([^()]{0,80}\)?")
_NUMBERS = re.compile(r"\d{3}|\d\s?[./,%-]\s?\d|\d\s?(?:%|mm|cm|kg)\b")
_VALUE = re.compile(r"[<>~=+*≥≤]{0,2}\s?\d+(?!\d|\s?[.)]\s+\S)")
# A number that ends its clause, without a unit or the `y/o` of an age; `1. ` opens a list.
_BARE_NUMBER = re.compile(r"(?!1\s?[.)]\s)\d+(?:\.\d+)?(?=[.,;]?(?:$|\s{2}|\s[A-Z][\w/]{0,5}:)|[.,;]\s)")
_BULLET = re.compile(r"[-–—•·*+>▪◦●○]")
_ITEM = re.compile(r"\(?\d{1,2}\s?[.)]")
_SMALL = frozenset(
    {"a", "an", "and", "as", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with", "without", "w/o"}
    | {"da", "das", "de", "do", "dos", "e", "em", "na", "no", "para", "por", "com", "sem"}
)


class Line(NamedTuple):
    """A line that is not blank.

    start (int): offset of its first character that is no blank.
    text (str): the line without the blanks around it.
    after_blank (bool): whether it opens the text or follows a blank line.
    """

    start: int
    text: str
    after_blank: bool


class Context(NamedTuple):
    """Where a line stands.

    before (Line or None): the line before it.
    after (Line or None): the line after it.
    parent (str): category of the section of level 1 that it stands in.
    awaits (bool): whether the last title has no text yet.
    """

    before: Optional[Line]
    after: Optional[Line]
    parent: str
    awaits: bool

    def runs_on(self, line: Line) -> bool:
        """Whether the line before was wrapped, so that this one starts inside a sentence."""
        if not self.before or line.after_blank or len(self.before.text) < 60:
            return False
        return self.before.text[-1].isalnum() or self.before.text[-1] in ",-"

    def heads_text(self) -> bool:
        """Whether the next line follows without a blank line between."""
        return bool(self.after and not self.after.after_blank)


def is_caps(name: str) -> bool:
    """Whether a name is written in capitals, what it holds in parentheses apart."""
    return _PARENTHESES.sub("", name).replace("'s", "").replace("w/o", "").isupper()


def is_title_case(name: str) -> bool:
    """Whether each word of a name but the small ones starts with a capital."""
    words = _PARENTHESES.sub("", name).replace("/", " ").split()
    return bool(words) and words[0][0].isupper() and all(not word[0].islower() or word in _SMALL for word in words)


def is_prose(name: str, lexicon: Lexicon) -> bool:
    """Whether a name holds a word of running text."""
    return any(word in lexicon.prose for word in normalise(name).split())


def names_study(name: str, lexicon: Lexicon) -> bool:
    """Whether a name holds a word for a study, as `Chest X-ray` does and `EKG findings` does not."""
    key = normalise(name)
    words = key.split()
    if key in lexicon.titles:
        return words[-1] in lexicon.studies or " ".join(words[-2:]) in lexicon.studies
    return not lexicon.studies.isdisjoint([*words, *map(" ".join, pairwise(words))])


def labels_row(name: str, rest: str, context: Context, lexicon: Lexicon) -> bool:
    """Whether a name labels what follows it: `P: 80` and `Resp: 20.` in vital signs, `CXR: clear` in a history.

    name (str): the words before the colon.
    rest (str): what follows on the line, without blanks around it.
    context (Context): where the line stands.
    lexicon (Lexicon): the titles of the note's language.
    RETURNS (bool): True where it heads no section.
    """
    entry = lexicon.find(name)
    if entry and entry.category in ROWS.get(context.parent, ()):
        return True
    if _BARE_NUMBER.match(rest) and (len(name) == 1 or (entry and entry.category in SYSTEMS)):
        return True
    return bool(rest) and names_study(name, lexicon) and not _heads_study(name, is_caps(name), context)


def before_colon(name: str, rest: str, marked: bool, line: Line, context: Context, lexicon: Lexicon) -> Judgement:
    """Judge a name that opens its line and has a colon after it.

    name (str): the words before the colon.
    rest (str): what follows on the line, without blanks around it.
    marked (bool): whether a list marker stands before it.
    line (Line): the line.
    context (Context): where the line stands.
    lexicon (Lexicon): the titles of the note's language.
    RETURNS (tuple or None): shape and what the lexicon knows of it, or None where it is no title.
    """
    if not _is_short(name):
        return None
    entry, caps = lexicon.find(name), is_caps(name)
    if not _opens(name, entry) or lexicon.is_label(name):
        return None
    if labels_row(name, rest, context, lexicon):
        return None
    if entry and entry.exact:
        if name[0].islower():
            return ("lower_colon", entry) if not rest or not context.runs_on(line) else None
        return ("caps_colon" if caps else "title_colon"), entry
    words, labelled = len(name.split()), lexicon.ends_in_label(name)
    if caps and sum(map(str.isalpha, name)) > 1 and not (rest and (labelled or (words == 1 and _VALUE.match(rest)))):
        return ("caps_colon", entry) if entry or not (_NUMBERS.search(name) or is_prose(name, lexicon)) else None
    if labelled or ". " in name or is_prose(name, lexicon) or _VALUE.match(rest):
        return None
    if context.parent in DRUGS or not name[0].isupper() or _NUMBERS.search(name) or context.runs_on(line):
        return None
    if marked and words <= 7:
        return "marked_colon", None
    if words <= 6 and (is_title_case(name) or (entry and words < 6) or (rest and context.parent in BY_PROBLEM)):
        return "title_colon", entry
    return None


def alone(name: str, dotted: bool, numbered: bool, line: Line, context: Context, lexicon: Lexicon) -> Judgement:
    """Judge a name that stands alone on its line without a colon.

    name (str): the words of the line.
    dotted (bool): whether a period stood after them.
    numbered (bool): whether a list number stands before them.
    line (Line): the line.
    context (Context): where the line stands.
    lexicon (Lexicon): the titles of the note's language.
    RETURNS (tuple or None): shape and what the lexicon knows of it, or None where it is no title.
    """
    if not _is_short(name):
        return None
    entry, words = lexicon.find(name), len(name.split())
    if not _opens(name, entry) or "  " in name or "\t" in name or lexicon.is_label(name):
        return None
    listed = entry if entry and entry.exact else None
    plain = not dotted and not numbered and sum(map(str.isalpha, name)) > 1
    if plain and is_caps(name) and "[" not in name:
        if listed and _may_stand(name, listed, line, context, lexicon):
            return "caps_alone", entry
        if not listed and words <= 6 and _stands_free(name, words, entry, line, context, lexicon):
            return "caps_alone", entry
        if context.parent not in BY_PROBLEM:
            return None
    spaced = line.after_blank or (words > 1 and not context.awaits and not context.runs_on(line))
    if plain and listed and spaced and not name[0].islower() and _may_stand(name, listed, line, context, lexicon):
        return "title_alone", entry
    if not name[0].isupper() or words > 9 or len(name) > 60 or is_prose(name, lexicon) or not context.heads_text():
        return None
    apart = numbered or line.after_blank or is_caps(name)
    if context.parent in BY_PROBLEM and apart and _opens_text(context):
        return "problem_alone", listed
    if context.parent in EXAMS and plain and line.after_blank and words <= 6 and is_title_case(name):
        return "part_alone", entry
    return None


def _is_short(name: str) -> bool:
    """Whether a name may be a title by its length; most lines are text, and not looked up."""
    return 0 < len(name) <= LONGEST and len(name.split()) <= MOST_WORDS


def _opens(name: str, entry: Optional[Entry]) -> bool:
    return name[0].isalpha() or (name[0].isdigit() and entry is not None and entry.exact)


def _heads_study(name: str, caps: bool, context: Context) -> bool:
    if not caps:
        return False
    spelled = any(len(word) > 4 and word.isalpha() for word in name.replace("-", "").split())
    return spelled or context.parent not in RESULTS | BY_PROBLEM | {"history_of_present_illness"}


def _may_stand(name: str, entry: Entry, line: Line, context: Context, lexicon: Lexicon) -> bool:
    """Whether a listed title alone on its line is no mere word of the text, nor an item of a list."""
    letters = sum(map(str.isalpha, name))
    if letters < 3 and (context.awaits or context.parent in DRUGS or not context.heads_text()):
        return False
    if entry.part or entry.category in SYSTEMS:
        return context.parent in BY_SYSTEM | SYSTEMS and context.after is not None
    if context.awaits and len(name.split()) == 1 and not (line.after_blank and context.heads_text()):
        return normalise(name) not in lexicon.weak and not names_study(name, lexicon)
    if context.parent in LISTED:
        return (line.after_blank or (letters > 2 and is_title_case(name))) and not names_study(name, lexicon)
    return True


def _stands_free(name: str, words: int, entry: Optional[Entry], line: Line, context: Context, lexicon: Lexicon) -> bool:
    after = context.after
    if not line.after_blank or not after or context.awaits or context.parent in DRUGS or is_caps(after.text):
        return False
    if is_prose(name, lexicon) or names_study(name, lexicon) or any(map(str.isdigit, name)):
        return False
    return entry is not None or words > 1 or len(name) > 5


def _opens_text(context: Context) -> bool:
    after = context.after.text if context.after else ""
    if _ITEM.match(after) or after.isupper():
        return False
    return bool(_BULLET.match(after)) or (len(after) > 40 and len(after.split()) > 6)
