"""Where sentences start in one run of text: pySBD's rules for English, used as scispaCy uses them."""

import re

from pysbd.lang.english import English
from pysbd.processor import Processor
from pysbd.utils import Rule
from scispacy.consts import ABBREVIATIONS

from .layout import MARKER

# pySBD takes time with the square of its input, so it sees no more characters than these at once.
WINDOW = 1000
# More list markers than these in a window are no list; pySBD would rewrite all of them once for each of them.
MAX_ITEMS = 60

_ABBREVIATIONS = frozenset(ABBREVIATIONS)
# The characters by which pySBD marks its work would come back as others; at a line end it ends a sentence.
_PLAIN = str.maketrans(
    dict.fromkeys("∯∮♨☝♬♭ᓰᓱᓳᓴᓷᓸ☉☇☈☄✂⌬⎋ȸȹƪ♟♝☏", "*") | dict.fromkeys("\n\r\v\f\x1c\x1d\x1e\x1f\x85\u2028\u2029", " ")
)
_DOTTED = re.compile(r"\b[a-z](?:\.[a-z])+\.", re.IGNORECASE)
_ITEM = re.compile(r"(?<!\w)(?:[a-z]{1,5}(?=\))|\d{1,2}(?=[.)]\s))", re.IGNORECASE)
# Text in which pySBD finds one sentence: marks only inside decimals and at the very end, apostrophes only inside words.
_SINGLE = re.compile(r"(?:[^.!?。．！？)）」\"'“”‘’]|(?<=\d)\.(?=\d)|(?<=\w)['’](?=\w))*[.!?]?")


# What to look for of pySBD's abbreviations: it protects the period behind one, so that a text without `abbreviation.`
# needs nothing; of one with periods of its own, its pattern takes any character for them.
_SOUGHT = [
    (
        f"{abbreviation}." if abbreviation.isalnum() else abbreviation,
        re.compile(rf"(?:^|\s){abbreviation}", re.IGNORECASE),
    )
    for abbreviation in map(str.strip, English.Abbreviation.ABBREVIATIONS)
]


class _Abbreviations(English.AbbreviationReplacer):
    """pySBD's replacements, without its two searches for each abbreviation whose letters stand anywhere."""

    def search_for_abbreviations_in_string(self, text: str) -> str:
        # pySBD's pattern for the word behind an abbreviation has a brace in it by mistake.
        if "{" in text:
            return super().search_for_abbreviations_in_string(text)
        lowered = text.lower()
        for sought, pattern in _SOUGHT:
            if sought in lowered:
                for found in dict.fromkeys(pattern.findall(text)):
                    text = self.scan_for_replacements(text, found, 0, "")
        return text


def _at_once(rules: list[Rule]) -> list[Rule]:
    """One rule for many that each put one string for another, as pySBD does thirty times a sentence."""
    table = {rule.pattern: rule.replacement for rule in rules}
    return [Rule(re.compile("|".join(map(re.escape, table))), lambda found: table[found[0]])]


class _ClinicalEnglish(English):
    AbbreviationReplacer = _Abbreviations

    class SubSymbolsRules(English.SubSymbolsRules):
        All = _at_once(English.SubSymbolsRules.All)

    class ReinsertEllipsisRules(English.ReinsertEllipsisRules):
        All = _at_once(English.ReinsertEllipsisRules.All)

    # What pySBD's own pattern finds (`.[1, 2] The`), without its nested repeats: exponential on `.[12 34 56`.
    NUMBERED_REFERENCE_REGEX = (
        r"(?<=[^\d\s])(\.|∯)"
        r"((\[(\d+(?:,(?:\s?-\s?|\s{0,2})|\s(?:-\s?|\s?)|-\s?))*(?<!\d)\d{1,3}\])+|((\d{1,3}\s?)?\d{1,3}))(\s)(?=[A-Z])"
    )


def sentence_starts(text: str) -> list[int]:
    """Find where sentences start in a run of text, whose line ends count as blanks.

    text (str): text without layout, of any length.
    RETURNS (list[int]): ascending offsets into the text, without that of the first sentence. They are pySBD's
        (Sadvilkar and Neumann 2020), less those inside a word (`?pneumonia`), behind a list marker alone and behind an
        abbreviation of scispaCy's list; and a dotted abbreviation (`p.o. q.d.`) is no list of items `p` and `q`.
    """
    if _SINGLE.fullmatch(text):
        return []
    text = text.translate(_PLAIN)
    starts: list[int] = []
    for cut in _windowed_cuts(text):
        behind = text[max(starts[-1] if starts else 0, cut - 40) : cut].strip()
        joined = MARKER.fullmatch(behind) or not _ABBREVIATIONS.isdisjoint(behind.split()[-1:])
        if text[cut - 1].isspace() and not joined:
            starts.append(cut)
    return starts


def _windowed_cuts(text: str) -> list[int]:
    """pySBD's boundaries, found in windows; each window starts where the one before found its last sentence."""
    cuts: list[int] = []
    start = 0
    while start + WINDOW < len(text):
        window = text[start : start + WINDOW]
        found = _cuts(window)
        # The last boundary may be owed to where the window ends: a bracket not yet closed, an abbreviation cut off.
        if len(found) > 1 and found[-2] > WINDOW // 2:
            found.pop()
        cuts += [start + cut for cut in found]
        # A sentence longer than half a window is passed over in parts, so that each step advances.
        start += found[-1] if found and found[-1] > WINDOW // 2 else max(window.rfind(" "), WINDOW // 2)
    return cuts + [start + cut for cut in _cuts(text[start:])]


def _cuts(text: str) -> list[int]:
    """pySBD's boundaries in a short text; its sentences are found again from left to right, as it keeps no offsets."""
    if len(_ITEM.findall(text)) > MAX_ITEMS:
        text = _ITEM.sub(lambda item: "*" * len(item[0]), text)
    hidden = _DOTTED.sub(lambda dotted: dotted[0].replace(".", "∯"), text)
    cuts: list[int] = []
    end = 0
    for sentence in Processor(hidden, _ClinicalEnglish).process():
        start = text.find(sentence.strip(), end)
        if start < 0:
            break
        if end:
            cuts.append(start)
        end = start + len(sentence.strip())
    return cuts
