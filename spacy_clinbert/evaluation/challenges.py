"""Each challenge's own scores, as counts by document and label."""

from collections.abc import Collection, Sequence
from typing import Callable, Dict

from ..corpora.formats import Format
from .challenges_concepts import i2b2_2010, i2b2_2012, n2c2_2018
from .challenges_deid import i2b2_2006, i2b2_2014
from .challenges_layers import layer_rows
from .counts import Rows
from .scored import ScoredDoc

CHALLENGES: Dict[str, Callable[[Sequence[ScoredDoc]], Dict[str, Rows]]] = {
    "i2b2_2006": i2b2_2006,
    "i2b2_2010": i2b2_2010,
    "i2b2_2012": i2b2_2012,
    "i2b2_2014": i2b2_2014,
    "n2c2_2018": n2c2_2018,
}


def challenge_rows(form: Format, docs: Sequence[ScoredDoc], known: Collection[str] = ()) -> Dict[str, Rows]:
    """Count as the challenge of a corpus does, or by its layers (SemClinBr).

    form (Format): the form of the corpus.
    docs (Sequence[ScoredDoc]): documents; with tokens, where it is scored by token (i2b2 2006, SemClinBr).
    known (Collection[str]): the labels that the pipeline can give, see `layer_rows`.
    RETURNS (Dict[str, Rows]): for each metric, by name, counts by document and label, of which `counts.score`, `micro`,
        `macro`, `weighted` and `macro_by_document` make scores; empty where the corpus has no challenge.
    """
    if form.layers:
        return layer_rows(docs, form.layers, known)
    return CHALLENGES[form.name](docs) if form.name in CHALLENGES else {}
