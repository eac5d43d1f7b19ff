"""Sections of a clinical note: where each starts and ends, its title, its category and its level."""

from bisect import bisect_right
from typing import Iterator, List, NamedTuple, Optional, Set

from .lexicon import Lexicon, load_lexicon, normalise
from .placeholders import find_placeholders
from .shapes import BY_SYSTEM, EXAMS, SYSTEMS, Context
from .titles import HEAD, Title, find_titles, split_lines

# Titles that keep their own category at level 2 inside these.
NESTED = {
    "plan": frozenset({"diet"}),
    "discharge_diagnosis": frozenset({"diagnosis"}),
    "physical_exam": frozenset({"vital_signs", "mental_status"}),
    "diagnostic_studies": frozenset({"laboratory", "microbiology", "imaging", "ecg", "echocardiogram", "pathology"}),
    "discharge_condition": frozenset({"mental_status", "activity", "functional_status"}),
}
# Categories that only the reading of a study has, those that tell it from a visit where `EXAM` opens the note, and
# those that it seldom has.
READING = frozenset({"technique", "comparison"})
STUDY = READING | {"findings", "indication", "procedure", "procedure_description"}
CARE = frozenset({"plan", "assessment_and_plan", "medications", "brief_hospital_course"})
# Normalised titles that name the study and its reason in a reading, but the patient's own elsewhere.
EXAM = frozenset({"exam", "examination", "exame"})
HISTORY = frozenset({"history", "brief history", "pertinent history", "relevant history", "historia"})
# From this length in characters, what stands under `PROCEDURE` in the words of running text tells how it went.
NARRATIVE = 120
OPENING = 300


class Section(NamedTuple):
    """A section of a note; the sections of a note tile its text.

    start (int): offset of its first character: its title's list marker, or its title.
    end (int): offset after its last character.
    title_start (int): offset of its title; equal to title_end and start where it has none.
    title_end (int): offset after its title, the colon left out.
    title (str): `text[title_start:title_end]`.
    category (str): category in the lexicon; "" where there is no title yet or nothing is known of it.
    level (int): 1, or 2 for a part of the section of level 1 before it.
    """

    start: int
    end: int
    title_start: int
    title_end: int
    title: str
    category: str
    level: int


class _Placed(NamedTuple):
    title: Title
    category: str
    level: int


def split_sections(text: str, lexicon: Optional[Lexicon] = None) -> List[Section]:
    """Split a note into sections.

    text (str): the note.
    lexicon (Lexicon): the titles of the note's language; English by default.
    RETURNS (List[Section]): sections that tile the text from 0 to its length, in order; none for an empty text.
    """
    lexicon = lexicon or load_lexicon()
    placed = _read_by_context(text, list(_place_titles(text, lexicon)), lexicon)
    sections: List[Section] = []
    first = placed[0].title.start if placed else len(text)
    if text[:first].strip() or (text and not placed):
        sections.append(Section(0, first, 0, 0, "", "", 1))
    for number, (title, category, level) in enumerate(placed):
        start = title.start if sections else 0
        end = placed[number + 1].title.start if number + 1 < len(placed) else len(text)
        name = text[title.title_start : title.title_end]
        sections.append(Section(start, end, title.title_start, title.title_end, name, category, level))
    return sections


def _place_titles(text: str, lexicon: Lexicon) -> Iterator[_Placed]:
    placeholders = find_placeholders(text)
    ends = [placeholder.end for placeholder in placeholders]
    lines = split_lines(text)
    parent, awaits = "", False
    for before, line, after in zip([None, *lines], lines, [*lines[1:], None], strict=False):
        last = None
        for title in find_titles(line, Context(before, after, parent, awaits), lexicon):
            at = bisect_right(ends, title.start)
            if at < len(ends) and placeholders[at].start < title.title_end:
                continue
            category, level = _outline(title, parent)
            if level == 1 or (title.entry and title.entry.part):
                parent = category
            last = title
            yield _Placed(title, category, level)
        end = line.start + len(line.text)
        awaits = last is not None and not text[last.title_end : end].strip(" \t:#,.")


def _outline(title: Title, parent: str) -> "tuple[str, int]":
    """Category and level of a title inside the section of level 1 before it."""
    entry = title.entry
    if entry is None or (not entry.exact and entry.category in SYSTEMS):
        return parent, 2 if parent or title.marked else 1
    category = entry.category
    if entry.part:
        # `Primary` under discharge diagnoses is one of them: the section's category says more than the part's.
        inside = parent in BY_SYSTEM or parent in SYSTEMS or parent.endswith(f"_{category}")
        return (parent if inside else category), (2 if parent else 1)
    if category in SYSTEMS:
        return (parent, 2) if parent in BY_SYSTEM else (category, 1)
    if category in NESTED.get(parent, ()) or (category == parent and not entry.exact):
        return category, 2
    listed_inside = title.marked and title.shape != "inline" and parent in BY_SYSTEM
    return category, 2 if listed_inside else 1


def _read_by_context(text: str, placed: List[_Placed], lexicon: Lexicon) -> List[_Placed]:
    """Tell apart what one word names: `PROCEDURE`, its name or its course; `EXAM` and `HISTORY` in a report."""
    keys = [normalise(text[item.title.title_start : item.title.title_end]) for item in placed]
    first = next((number for number, item in enumerate(placed) if item.category not in HEAD | {"note_type"}), 0)
    exam_first = bool(placed) and keys[first] in EXAM
    others = [item for number, item in enumerate(placed) if item.title.entry and not (exam_first and number == first)]
    known = {item.category for item in others}
    report = _is_report(known, exam_first)
    read = []
    for number, item in enumerate(placed):
        category = item.category
        end = placed[number + 1].title.start if number + 1 < len(placed) else len(text)
        content = text[item.title.title_end : end]
        told = len(content) > NARRATIVE and _is_told(content[:OPENING], lexicon)
        if category == "procedure" and told and "procedure_description" not in known:
            category = "procedure_description"
        elif report and exam_first and number == first:
            category = "procedure"
        elif report and keys[number] in HISTORY:
            category = "indication"
        read.append(item if category == item.category else item._replace(category=category))
    return read


def _is_report(known: Set[str], exam_first: bool) -> bool:
    """Whether a note of these categories reads a study."""
    if known & EXAMS:
        return False
    if known & (STUDY if exam_first else READING):
        return True
    return not known & CARE and ("impression" in known if exam_first else {"note_type", "findings"} <= known)


def _is_told(content: str, lexicon: Lexicon) -> bool:
    return not lexicon.prose.isdisjoint(content.casefold().split())
