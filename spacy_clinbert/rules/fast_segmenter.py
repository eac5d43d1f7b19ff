"""Where sentences start in one run of text: the decisions of pySBD and scispaCy for English, in a single scan.

pySBD (Sadvilkar and Neumann 2020) rewrites the whole text once for each of its rules. Here each mark that could end a
sentence is judged where it stands, by the word before it and by what follows. It decides otherwise than pySBD where
- more than one blank follows: after `"Yes."` and `5 p.m.` a capital opens a sentence there too, after `5 ft.` a number
  does not, and what is a list behind one blank is one behind two;
- a quotation is never closed, or its mark means inches: it holds back no sentence ends as far as the next quote;
- `p.o . q.d .` is cut into tokens: no list of items `p` and `q`;
- a number stands in a text that has a list, but not in its order: `1. Gout. 2. Diabetes type 2. 3. Pain.`;
- three marks or more stand before a capital, `Help!!! He`: they end a sentence;
- `No.5 Vicryl` is no footnote.
"""

import re
from itertools import pairwise

from pysbd.lang.english import English
from scispacy.consts import ABBREVIATIONS

from .inline_lists import REACH, find_items
from .layout import MARKER

_LISTED = English.Abbreviation
# Abbreviations before a name (`Dr. Wells`) end no sentence; nor do scispaCy's, as they are written.
_BEFORE_NAME = frozenset(_LISTED.PREPOSITIVE_ABBREVIATIONS)
_AS_WRITTEN = frozenset(ABBREVIATIONS)
_BEFORE_NUMBER = frozenset(_LISTED.NUMBER_ABBREVIATIONS)
_ABBREVIATIONS = frozenset(map(str.strip, _LISTED.ABBREVIATIONS))
# A longer word tells nothing of its period, and a list marker is shorter.
_LONGEST_WORD = 20
_LONGEST_MARKER = 10

_DOTTED = re.compile(r"\b[a-z](?:\.[a-z])+\Z", re.IGNORECASE)
_NOON = re.compile(r"(?:[ap]\.m|[AP]\.M)\Z")
# What ends a sentence if a word of pySBD's list of starters follows: countries, `Part I. The`, `i.v. We`.
_MAY_END = re.compile(r"(?:U\.[SK]|E\.U|U\.S\.A|I|i\.v|I\.V)\Z")
_STARTER = re.compile(rf"(?:{'|'.join(English.AbbreviationReplacer.SENTENCE_STARTERS)})\s")
_SELF = re.compile(r"I(?:\s|'m|'ll)")

_MARKS = ".!?。．！？"
_QUOTES = "\"'“”’"
# Each branch looks back at the character that the class has found, so that the scan passes over all others at once; a
# quotation or bracket is one event, and the marks inside it none.
_EVENT = re.compile(
    rf"""
    [{_MARKS}(\["“«'‘-]
    (?:
        (?<=\s\.) \s\. \s\. (?=\s)
      | (?<=(?<![{_MARKS}])[{_MARKS}]) (?P<marks> [{_MARKS}]* ) (?P<quote> [{_QUOTES}]? ) (?=\s)
      | (?<=[^\d\s]\.) (?P<reference> (?: \[ \d [\d,\s-]{{0,40}} \] )+ | (?: \d{{1,3}} \s? )? \d{{1,3}} ) (?=\s[A-Z])
      | (?<=\() [^()]{{1,{REACH}}} \)
      | (?<=\[) [^\[\]]{{1,{REACH}}} \]
      | (?<=(?<![\w,.!?])") [^"]{{1,{REACH}}} (?: (?<!\s) " | " (?!\w) )
      | (?<=“) [^“”]{{1,{REACH}}} ”
      | (?<=«) [^«»]{{1,{REACH}}} »
      | (?<=\s') [^']{{1,{REACH}}} (?: '[a-zA-Z] [^']{{0,{REACH}}} ){{0,8}} ' (?![a-zA-Z])
      | (?<=\s‘) [^’]{{1,{REACH}}} (?: ’[a-zA-Z] [^’]{{0,{REACH}}} ){{0,8}} ’ (?![a-zA-Z])
      | (?<=(?<!-)-) - [^-]{{1,{REACH}}} --
    )
    (?= (?: \s+ (?P<next> \S ) )? )
    """,
    re.VERBOSE,
)


def sentence_starts(text: str) -> list[int]:
    """Find where sentences start in a run of text, whose line ends count as blanks.

    text (str): text without layout, of any length.
    RETURNS (list[int]): ascending offsets into the text, each behind a blank, without that of the first sentence.
    """
    starts = [0]
    items = find_items(text)
    numbers = {item.end for item in items}
    for begin, end in pairwise([0, *(item.start for item in items), len(text)]):
        if starts[-1] < begin and not _goes_on(text, starts[-1], begin):
            starts.append(begin)
        for event in _EVENT.finditer(text, begin, end):
            following = event.start("next")
            if following > 0 and event.end() - 1 not in numbers and _ends(text, starts[-1], event, following):
                starts.append(following)
    return starts[1:]


def _ends(text: str, start: int, event: "re.Match[str]", following: int) -> bool:
    """Whether the event ends the sentence that began at `start`, before what would begin at `following`."""
    begin, last, upper = event.start(), event.end() - 1, text[following].isupper()
    if event["reference"]:
        return _last_word(text, start, begin).lower() not in _ABBREVIATIONS
    if event["marks"] is None:
        return upper and _closes(text, begin, last, begin == start)
    if event["quote"]:
        return upper
    marks = text[begin : last + 1]
    if marks == ".":
        return _period_ends(text, start, begin, following)
    # An ellipsis and more than two of the others may stand inside a sentence.
    if marks == "..." or (len(marks) > 2 and not marks.strip("!?")):
        return upper
    return marks != "!" or not text[following].islower()


def _closes(text: str, begin: int, last: int, is_sentence: bool) -> bool:
    """Whether a quotation or bracket before a capital ends a sentence: by a mark at its end, or by being all of it."""
    if text[last] in _QUOTES:
        return text[last - 1] in ".!?" or (is_sentence and text[last - 1] != ",")
    return is_sentence and text[last] == ")" and last - begin > 2 and not _goes_on(text, begin, last + 1)


def _period_ends(text: str, start: int, period: int, following: int) -> bool:
    """Whether a single period before a blank ends a sentence: by the word before it, and what is after it."""
    if _goes_on(text, start, period + 1):
        return False
    word, after = _last_word(text, start, period), text[following]
    if len(word) == 1 and word.isupper():
        return word == "I" and _STARTER.match(text, following) is not None
    if "." in word and _DOTTED.search(word):
        if _NOON.search(word):
            return after.isupper()
        return bool(_MAY_END.search(word) and _STARTER.match(text, following))
    lowered = word.lower()
    if lowered in _BEFORE_NAME:
        return False
    if lowered in _BEFORE_NUMBER:
        return not (after.isdigit() or after == "(")
    if lowered in _ABBREVIATIONS:
        # Behind two blanks `I` opens a sentence: the writer meant them.
        return not (after.islower() or after.isdigit() or after == "(" or _SELF.match(text, period + 2))
    return True


def _goes_on(text: str, start: int, cut: int) -> bool:
    """Whether a sentence goes on behind a cut whatever follows: a list marker alone, an abbreviation of scispaCy's."""
    if cut - start <= _LONGEST_MARKER and MARKER.fullmatch(text[start:cut].rstrip()):
        return True
    return not _AS_WRITTEN.isdisjoint(text[max(start, cut - _LONGEST_WORD) : cut].split()[-1:])


def _last_word(text: str, start: int, end: int) -> str:
    """The word that ends there; empty behind a blank."""
    behind = text[max(start, end - _LONGEST_WORD) : end]
    return "" if not behind or behind[-1].isspace() else behind.split()[-1]
