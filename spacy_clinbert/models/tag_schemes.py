"""Tag schemes of published token classifiers (IOB2, IOB1, IO, BILOU), read from the names of their classes."""

import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import ClinbertError

SCHEMES = ("iob2", "iob1", "io", "bilou")
# By scheme, how `clinbert_ner` decodes to give the checkpoint's own likeliest classes.
DECODING = {"iob2": "argmax", "bilou": "argmax", "iob1": "iob1", "io": "iob1"}

# As published: O, 0 and OUT; X for further wordpieces of a word; PAD, <pad>, [CLS], [SEP] for what is no word.
OUTSIDE = {"o", "0", "out", "outside", "none"}
NO_WORD = {"x", "pad", "[pad]", "<pad>", "cls", "[cls]", "<s>", "sep", "[sep]", "</s>", "ignore"}

# BILOU, and the letters of BIOES, BMEWO and BMES for the same; of each the IOB2 prefix. A unit begins a mention as B
# does, a last token is inside it.
PREFIXES = {"B": "B", "I": "I", "M": "I", "L": "I", "E": "I", "U": "B", "S": "B", "W": "B"}
BILOU_ONLY = set("MLEUSW")
PREFIXED = re.compile(r"([BIMLEUSW])[-_:.|/ ](.+)", re.IGNORECASE)
SUFFIXED = re.compile(r"(.+)[-_:.|/ ]([BIMLEUSW])", re.IGNORECASE)
UNNAMED = re.compile(r"LABEL_\d+")
# The label of classes that are B and I alone.
UNTYPED = "entity"

# Letter and label of a class; a class without a letter has None.
Parts = Tuple[Optional[str], str]


class Scheme(NamedTuple):
    """How the classes of a token classifier are read.

    name (str): one of `SCHEMES`.
    tags (List[str]): for each class, the IOB2 tag as which it counts.
    labels (List[str]): the labels, in the order of their first classes.
    no_word (List[str]): classes for what is no word, which count as outside.
    """

    name: str
    tags: List[str]
    labels: List[str]
    no_word: List[str]


def read_scheme(classes: Sequence[str], scheme: Optional[str] = None) -> Scheme:
    """Read a scheme from the names of classes.

    classes (Sequence[str]): the names, in the order of the outputs.
    scheme (Optional[str]): one of `SCHEMES`; None to infer it. IOB1 whose labels all have a B looks like IOB2.
    RETURNS (Scheme): the scheme.
    RAISES (ClinbertError): if names or outside are not told, no entity is left, or the scheme is not that of the names.
    """
    if scheme is not None and scheme not in SCHEMES:
        raise ClinbertError(f'scheme "{scheme}" is unknown: give one of {", ".join(SCHEMES)}')
    if any(UNNAMED.fullmatch(name) for name in classes):
        raise ClinbertError(
            f"its {len(classes)} classes have no names ({classes[0]} …): give those of all, in order, by --labels, "
            "such as --labels O,B-problem,I-problem"
        )
    no_word = [name for name in classes if name.casefold() in NO_WORD]
    # Classes of one name count as one: the likeliest of them gives its logit.
    entities = [one for one in dict.fromkeys(classes) if one.casefold() not in OUTSIDE and one not in no_word]
    if not entities or set(entities) == set(classes):
        lacking = "an entity" if not entities else "outside"
        raise ClinbertError(f"none of its classes ({_some(classes)}) is {lacking}: give their names by --labels")
    parts = _split(entities, scheme)
    found = _infer(set(parts.values()))
    name = scheme or found
    if (name == "bilou") != (found == "bilou"):
        raise ClinbertError(f"its classes ({_some(classes)}) are {found}, not {name}: leave --scheme out")
    labels = list(dict.fromkeys(label for _, label in parts.values()))
    tags = [f"{PREFIXES[parts[each][0] or 'I']}-{parts[each][1]}" if each in parts else "O" for each in classes]
    return Scheme(name, tags, labels, no_word)


def _split(entities: Sequence[str], scheme: Optional[str]) -> Dict[str, Parts]:
    """Letter and label of each class, where all have letters or `scheme` is "io"; else each is a label."""
    whole: Dict[str, Parts] = {name: (None, name) for name in entities}
    if scheme == "io":
        return whole
    if all(name.upper() in PREFIXES for name in entities) and {"B", "I"} & set(map(str.upper, entities)):
        return {name: (name.upper(), UNTYPED) for name in entities}
    for form, letter in ((PREFIXED, 1), (SUFFIXED, 2)):
        matches = {name: match for name in entities if (match := form.fullmatch(name))}
        parts: Dict[str, Parts] = {name: (match[letter].upper(), match[3 - letter]) for name, match in matches.items()}
        if len(parts) == len(entities) and {"B", "I"} & {each for each, _ in parts.values()}:
            return parts
        if len({label for _, label in parts.values()}) < len(parts):
            odd = min(set(entities) - set(parts), default=entities[0])
            raise ClinbertError(f"its class {odd} is of another form than {min(parts)}: give all names by --labels")
    return whole


def _infer(parts: "set[Parts]") -> str:
    """The scheme of letters and labels."""
    letters = {letter for letter, _ in parts if letter}
    if letters & BILOU_ONLY:
        return "bilou"
    if "B" not in letters:
        return "io"
    begun, inside = ({label for letter, label in parts if letter == which} for which in "BI")
    return "iob2" if inside <= begun else "iob1"


def _some(classes: Sequence[str]) -> str:
    return ", ".join(classes[:3]) + (", …" if len(classes) > 3 else "")
