"""Documents with gold and predicted mentions, written briefly, for the tests of scores."""

from itertools import pairwise

from hypothesis import strategies as st

from spacy_clinbert.corpora.records import Mention
from spacy_clinbert.evaluation.scored import ScoredDoc

LABELS = "abc"


def mentions(*places: str) -> tuple[Mention, ...]:
    """Mentions such as "a 0-4" or, of two fragments, "b 0-4,6-8"."""
    found = []
    for place in places:
        label, fragments = place.split(" ")
        bounds = (piece.split("-") for piece in fragments.split(","))
        found.append(Mention(tuple((int(start), int(end)) for start, end in bounds), label))
    return tuple(found)


def scored(gold: str, predicted: str, name: str = "d", tokens: tuple = ()) -> ScoredDoc:
    """A document whose mentions are parted by "; "."""
    return ScoredDoc(name, *(mentions(*filter(None, text.split("; "))) for text in (gold, predicted)), tokens)


def any_mentions(length: int = 12) -> st.SearchStrategy[tuple[Mention, ...]]:
    """Mentions that may overlap, repeat and have two fragments."""

    def make(label: str, cuts: list[int]) -> Mention:
        cuts = sorted(cuts)
        return Mention(tuple(zip(cuts[::2], cuts[1::2])), label)

    cuts = st.sampled_from((2, 2, 2, 4)).flatmap(
        lambda n: st.lists(st.integers(0, length), min_size=n, max_size=n, unique=True)
    )
    return st.lists(st.builds(make, st.sampled_from(LABELS), cuts), max_size=5).map(tuple)


@st.composite
def disjoint_mentions(draw: st.DrawFn, length: int = 14) -> tuple[Mention, ...]:
    """Unbroken mentions that do not overlap."""
    cuts = sorted(draw(st.sets(st.integers(0, length), max_size=8)))
    pairs = [pair for pair in pairwise(cuts) if draw(st.booleans())]
    return tuple(Mention((pair,), draw(st.sampled_from(LABELS))) for pair in pairs)


def any_doc(length: int = 12) -> st.SearchStrategy[ScoredDoc]:
    """A document of any mentions."""
    return st.builds(
        lambda gold, predicted: ScoredDoc("d", gold, predicted), any_mentions(length), any_mentions(length)
    )
