"""Lexicons of section titles: title → category, each category with its name and LOINC document-section code."""

import json
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Mapping, NamedTuple, Optional, Union

from ..errors import ClinbertError

BUILT_IN = Path(__file__).parent / "lexicons"
LISTS = ("labels", "studies", "prose", "weak")
_PARENTHESES = re.compile(r"\([^()]{0,80}\)?")
_JOINTS = re.compile(r"[\s,.:;&/\\_–—-]+|#\s?\d*")
_SILENT = frozenset({"the", "and", "e"})
_PREPOSITIONS = frozenset(
    {"of", "for", "in", "on", "at", "with", "to", "during", "from", "by", "after", "before", "upon"}
    | {"de", "da", "do", "das", "dos", "em", "na", "no", "para"}
)


class Category(NamedTuple):
    """What a category is called, and its LOINC document-section code where one exists (https://loinc.org)."""

    name: str
    loinc: Optional[str]


class Entry(NamedTuple):
    """What the lexicon knows of a title.

    category (str): category of the section it heads.
    part (bool): whether it names a part of another section, as `HEENT` does.
    exact (bool): whether the title itself is listed, not only a title inside it.
    """

    category: str
    part: bool
    exact: bool


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The section titles of a language.

    language (str): ISO 639-1 code.
    categories (dict): category → its name and LOINC code.
    titles (dict): normalised title → what is known of it.
    stems (dict): the same, keyed by the singular of each word, for titles that are not listed letter by letter.
    labels (frozenset): normalised names that look like titles before a colon but label a value or open a remark.
    studies (frozenset): words that name a study, so that `Chest X-ray: clear` is a finding.
    prose (frozenset): words of running text that no unlisted title holds.
    weak (frozenset): words that are titles alone, but say nothing inside a longer title.
    """

    language: str
    categories: Mapping[str, Category]
    titles: Mapping[str, Entry]
    stems: Mapping[str, Entry]
    labels: frozenset
    studies: frozenset
    prose: frozenset
    weak: frozenset

    def find(self, title: str) -> Optional[Entry]:
        """What is known of a title: itself, or else the longest listed title inside it.

        title (str): title as it stands in the note.
        RETURNS (Entry or None): None where neither the title nor any part of it is listed.
        """
        return _find(self, title)

    def is_label(self, title: str) -> bool:
        """Whether a name before a colon labels a value or opens a remark, as `BP` and `Note` do.

        title (str): name as it stands in the note.
        RETURNS (bool): True for a label.
        """
        return normalise(title) in self.labels

    def ends_in_label(self, title: str) -> bool:
        """Whether a name that is not listed ends in a label, as `Furosemide 40 mg Tablet Sig` does.

        title (str): name as it stands in the note.
        RETURNS (bool): True where its last word is a label.
        """
        key = normalise(title)
        return key not in self.titles and key.rpartition(" ")[2] in self.labels


def load_lexicon(name_or_path: Union[str, Path] = "en", extend: Optional[Mapping[str, str]] = None) -> Lexicon:
    """Load a lexicon of section titles.

    name_or_path (str or Path): a built-in language ("en", "pt") or the path of a JSON file that takes its place.
    extend (dict): title → category, added to the lexicon or put in the place of what it says.
    RETURNS (Lexicon): the titles, ready for `split_sections`.
    RAISES ClinbertError: where the file is missing or is not a lexicon, or `extend` is not a mapping of strings.
    """
    lexicon = _load(str(name_or_path))
    return _extend(lexicon, extend) if extend else lexicon


@lru_cache(maxsize=2**16)
def normalise(title: str) -> str:
    """The form in which titles are compared.

    title (str): title as it stands in the note.
    RETURNS (str): lower case, without accents, parentheses, joints (`and`, `&`, `/`, comma, hyphen) and possessives.
    """
    text = _PARENTHESES.sub(" ", title.casefold().replace("’", "'").replace("'s ", " "))
    if not text.isascii():
        text = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    words = _JOINTS.sub(" ", text).split()
    return " ".join(word for word in words if word not in _SILENT) or " ".join(words)


def _stem(key: str) -> str:
    return " ".join(_singular(word) for word in key.split())


def _singular(word: str) -> str:
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith(("noses", "theses")):
        return word[:-2] + "is"
    return word[:-3] + "y" if word.endswith("ies") else word[:-1]


@lru_cache(maxsize=2**16)
def _find(lexicon: Lexicon, title: str) -> Optional[Entry]:
    key = normalise(title)
    if key in lexicon.titles:
        return lexicon.titles[key]
    stem = _stem(key)
    return lexicon.stems.get(stem) or _find_inside(lexicon, stem.split()[:12])


@lru_cache
def _lengths(lexicon: Lexicon) -> Dict[str, FrozenSet[int]]:
    """How many words the listed titles of more than one have, by their first word: so few phrases are looked up."""
    lengths: Dict[str, FrozenSet[int]] = {}
    for words in map(str.split, lexicon.stems):
        if len(words) > 1:
            lengths[words[0]] = lengths.get(words[0], frozenset()) | {len(words)}
    return lengths


def _find_inside(lexicon: Lexicon, words: List[str]) -> Optional[Entry]:
    """The longest listed title inside; of single words the last one before a preposition, the head of the phrase.

    What follows the preposition tells nothing of a study: `CT of the abdomen with contrast`.
    """
    lengths = _lengths(lexicon)
    spans = [(first, first + size) for first, word in enumerate(words) for size in lengths.get(word, ())]
    for first, end in sorted(spans, key=lambda span: (span[0] - span[1], span[0])):
        entry = lexicon.stems.get(" ".join(words[first:end])) if end - first < len(words) >= end else None
        if entry and not entry.part:
            return entry._replace(exact=False)
    cut = next((at for at, word in enumerate(words) if word in _PREPOSITIONS), len(words))
    rest = words[cut:] if lexicon.studies.isdisjoint(words[:cut]) else []
    for word in [*reversed(words[:cut]), *rest]:
        entry = lexicon.stems.get(word)
        if entry and not entry.part and len(word) > 3 and word not in lexicon.weak:
            return entry._replace(exact=False)
    return None


def _load(name_or_path: str) -> Lexicon:
    built_in = BUILT_IN / f"{name_or_path}.json"
    if name_or_path.isalnum() and built_in.is_file():
        return _load_built_in(built_in)
    return _read(Path(name_or_path))


@cache
def _load_built_in(path: Path) -> Lexicon:
    return _read(path)


def _read(path: Path) -> Lexicon:
    try:
        data = json.loads(path.read_text(encoding="utf8"))
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in BUILT_IN.glob("*.json")))
        raise ClinbertError(
            f"No lexicon {path}: give a built-in language ({known}) or the path of a JSON file."
        ) from error
    except ValueError as error:
        raise ClinbertError(f"Lexicon {path} is not JSON in UTF-8: {error}.") from error
    _check(data, path)
    titles: dict[str, Entry] = {}
    for category, entry in data["categories"].items():
        for part, listed in ((False, entry.get("titles", [])), (True, entry.get("parts", []))):
            for title in listed:
                key = normalise(title)
                if titles.setdefault(key, Entry(category, part, True)).category != category:
                    raise ClinbertError(
                        f"Lexicon {path} lists '{title}' under {titles[key].category} and {category}: keep one."
                    )
    return Lexicon(
        language=data["language"],
        categories={key: Category(entry["name"], entry.get("loinc")) for key, entry in data["categories"].items()},
        titles=titles,
        stems={_stem(key): entry for key, entry in reversed(titles.items())},
        **{name: frozenset(map(normalise, data.get(name, []))) for name in LISTS},
    )


def _check(data: Any, path: Path) -> None:
    if (
        not isinstance(data, dict)
        or not isinstance(data.get("language"), str)
        or not isinstance(data.get("categories"), dict)
    ):
        raise ClinbertError(f"Lexicon {path} must be an object with 'language' and 'categories'.")
    for category, entry in data["categories"].items():
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not _strings(entry.get("titles")):
            raise ClinbertError(f"Category {category} of lexicon {path} needs a 'name' and a list of 'titles'.")
        if not isinstance(entry.get("loinc"), (str, type(None))) or not _strings(entry.get("parts", [])):
            raise ClinbertError(f"Category {category} of lexicon {path} has a 'loinc' or 'parts' of the wrong type.")
    for name in LISTS:
        if not _strings(data.get(name, [])):
            raise ClinbertError(f"'{name}' of lexicon {path} must be a list of strings.")


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and normalise(item) for item in value)


def _extend(lexicon: Lexicon, extend: Mapping[str, str]) -> Lexicon:
    if not isinstance(extend, Mapping) or not _strings([*extend, *extend.values()]):
        raise ClinbertError("'extend' of a lexicon must map titles to categories, both non-empty strings.")
    added = {normalise(title): Entry(category, False, True) for title, category in extend.items()}
    new = {name: Category(name.replace("_", " ").capitalize(), None) for name in extend.values()}
    return replace(
        lexicon,
        categories={**new, **lexicon.categories},
        titles={**lexicon.titles, **added},
        stems={**lexicon.stems, **{_stem(key): entry for key, entry in added.items()}},
        labels=lexicon.labels - added.keys(),
    )
