"""What a synthetic note says: its blocks of titles and phrases, before any layout."""

import json
import random
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .grammar import TEMPLATES, Grammar, Phrase, joined

RULER = Phrase("_" * 78)
TIGHT, INLINE, OWN_LINE, NO_COLON, BANNER = ":", ": ", ":\n", "\n", ""


class Item(NamedTuple):
    """A sentence or list item.

    mark (str): list marker with its blank; empty for none.
    phrase (Phrase): what it says.
    """

    mark: str
    phrase: Phrase


@dataclass(frozen=True)
class Block:
    """A stretch of a note, with or without a title.

    title (Optional[Phrase]): the title; None if the block continues the section before it.
    category (str): category of the title (benchmarks/gold/README.md); empty without one.
    items (Tuple[Item, ...]): what follows the title.
    level (int): 1, or 2 for a part of the section above.
    mark (str): marker before the title, with its blank.
    after (str): what stands between title and items.
    flow (bool): items run on in one paragraph; otherwise each has a line of its own.
    indent (int): blanks before each line.
    gap (str): what stands behind the block.
    """

    title: Optional[Phrase]
    category: str
    items: Tuple[Item, ...] = ()
    level: int = 1
    mark: str = ""
    after: str = INLINE
    flow: bool = True
    indent: int = 0
    gap: str = "\n\n"


@cache
def note_kinds() -> Dict[str, Dict[str, Any]]:
    """Read the kinds of notes: category, descriptions, weight and sections of each.

    RETURNS (Dict[str, Dict[str, Any]]): the kinds by name, as in templates/notes.json.
    """
    return json.loads((TEMPLATES / "notes.json").read_text(encoding="utf-8"))


def outline(kind: str, grammar: Grammar, rng: random.Random) -> List[Block]:
    """Draw the blocks of a note.

    kind (str): name of a kind of notes.
    grammar (Grammar): what fills the sections.
    rng (random.Random): the source of all choices.
    RETURNS (List[Block]): the blocks in order.
    """
    sections = note_kinds()[kind]["sections"]
    named = {section["name"]: section for section in sections if "name" in section}
    blocks: List[Block] = []
    for section in sections:
        if "name" in section:
            continue
        if rng.random() >= section.get("chance", 1):
            if "else" not in section:
                continue
            section = named[section["else"]]
        blocks += _section(section, grammar, rng)
    return blocks


def _section(section: Dict[str, Any], grammar: Grammar, rng: random.Random) -> List[Block]:
    style = section["style"]
    if style == "ruler":
        return [Block(None, "", (Item("", RULER),), gap="\n")]
    if style == "cells":
        return _cells(section["cells"], grammar, rng)
    phrases = _phrases(section, grammar, rng)
    gap = "\n" if section.get("close") or style == "bare_lines" else "\n\n"
    title = None if style.startswith("bare") else Phrase(rng.choice(section["titles"]))
    block = Block(title, section.get("category", ""), _items("", phrases), indent=section.get("indent", 0), gap=gap)
    own_line = NO_COLON if title and title.text.isupper() and len(title.text) > 4 and rng.random() < 0.25 else OWN_LINE
    if style == "problems":
        opening = replace(block, items=block.items[:1], after=own_line)
        return [opening, *_problems(section, phrases[1:], grammar, rng)]
    if style == "parts":
        return [replace(block, after=own_line, gap=""), *_parts(section["parts"], grammar, rng)]
    if style == "prescriptions":
        return [replace(block, items=_prescriptions(phrases, grammar, rng), after=own_line, flow=False)]
    if style in ("numbered", "dashed"):
        mark = "{}. " if style == "numbered" else rng.choice(("- ", "-", "* "))
        return [replace(block, items=_items(mark, phrases), after=own_line, flow=False)]
    after = {"inline": INLINE, "tight": TIGHT, "banner": BANNER}.get(style, own_line)
    return [replace(block, after=after, flow=style in ("prose", "inline", "bare_prose"))]


def _phrases(section: Dict[str, Any], grammar: Grammar, rng: random.Random) -> List[Phrase]:
    rules = [section["first"]] if "first" in section else []
    if "rule" in section:
        rules += [section["rule"]] * rng.randint(*section.get("count", (1, 1)))
    # A section does not say the same twice.
    return list(dict.fromkeys(_capitalised(grammar.expand(rule, rng)) for rule in rules))


def _items(mark: str, phrases: List[Phrase]) -> Tuple[Item, ...]:
    return tuple(Item(mark.format(number), phrase) for number, phrase in enumerate(phrases, start=1))


def _cells(cells: List[Any], grammar: Grammar, rng: random.Random) -> List[Block]:
    blocks = []
    for titles, category, rule in cells:
        items = _items("", [grammar.expand(rule, rng)])
        blocks.append(Block(Phrase(rng.choice(titles)), category, items, after=":  ", gap=" " * rng.randint(3, 14)))
    return [*blocks[:-1], replace(blocks[-1], gap="\n\n")]


def _parts(parts: List[Any], grammar: Grammar, rng: random.Random) -> List[Block]:
    kept = [part for part in parts if rng.random() < 0.9] or parts[:1]
    blocks = []
    for titles, category, rule in kept:
        phrases = [_capitalised(grammar.expand(rule, rng)) for _ in range(rng.randint(1, 2))]
        blocks.append(Block(Phrase(rng.choice(titles)), category, _items("", phrases), level=2, gap="\n"))
    return [*blocks[:-1], replace(blocks[-1], gap="\n\n")]


def _problems(section: Dict[str, Any], phrases: List[Phrase], grammar: Grammar, rng: random.Random) -> List[Block]:
    mark = rng.choice(("# ", "# ", "#", "{}. "))
    blocks = []
    for number, phrase in enumerate(phrases, start=1):
        name = _capitalised(grammar.expand("problemname", rng))
        more = [_capitalised(grammar.expand(section["rule"], rng)) for _ in range(rng.randint(0, 2))]
        items = _items("", [phrase, *more])
        blocks.append(Block(name, section["category"], items, level=2, mark=mark.format(number)))
    return blocks


def _prescriptions(drugs: List[Phrase], grammar: Grammar, rng: random.Random) -> Tuple[Item, ...]:
    items = []
    for number, drug in enumerate(drugs, start=1):
        directions = grammar.expand("sig", rng)
        items.append(Item(f"{number}. ", joined(drug, " Sig: ", directions)))
        if rng.random() < 0.5:
            items.append(Item("", grammar.expand("supply", rng)))
    return tuple(items)


def _capitalised(phrase: Phrase) -> Phrase:
    return phrase._replace(text=phrase.text[:1].upper() + phrase.text[1:])
