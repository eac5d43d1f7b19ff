"""`spacy_clinbert.i2b2_2008_groups.v1`: the judgements of i2b2 2008 as groups of labels, for `clinbert_textcat`.

[components.clinbert_textcat.groups]
@misc = "spacy_clinbert.i2b2_2008_groups.v1"
source = "textual"
"""

from typing import Dict, List, Literal

from spacy.util import registry


@registry.misc("spacy_clinbert.i2b2_2008_groups.v1")
def i2b2_2008_groups(source: Literal["textual", "intuitive"]) -> Dict[str, List[str]]:
    """Name the labels of each disease, of which one holds.

    source (str): "textual" judgements are Y, N, Q or U, "intuitive" ones Y, N or Q.
    RETURNS (Dict[str, List[str]]): for each of the sixteen diseases, `source:disease`, the labels that a converted
        corpus has for it.
    """
    # Not at import: spaCy imports this module at every start.
    from .i2b2_2008 import DISEASES
    from .judgements import judgement_cats

    return {f"{source}:{disease}": list(judgement_cats(source, disease, "Y")) for disease in DISEASES}
