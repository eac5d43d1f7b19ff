"""`spacy_clinbert.name_cohort.v1`: a saved pipeline's meta names the cohort that it was trained on."""

from pathlib import Path
from typing import Callable, Union

from spacy.language import Language
from spacy.util import registry


@registry.callbacks("spacy_clinbert.name_cohort.v1")
def create_name_cohort(cohort: Union[str, Path]) -> Callable[[Language], Language]:
    """Make a callback for `[training.before_to_disk]` that names the cohort among `nlp.meta["sources"]`, spaCy's own
    field, and its source for the predictions to carry.

    cohort (Union[str, Path]): a folder that `clinbert ehr cohort` wrote. It is read at once: the meta must tell what
        was trained on, not what lies there later.
    RETURNS (Callable[[Language], Language]): adds to the meta, once.
    RAISES (ClinbertError): if the folder holds no cohort.
    """
    # Not at import: spaCy imports this module at every start.
    from .evaluated_cohort import read_evaluated_cohort
    from .predictions import TRAINED_ON

    found = read_evaluated_cohort(Path(cohort))
    row = {"name": f"{found.title} ({found.design}), {found.source}", "url": "", "author": "", "license": ""}

    def name_cohort(nlp: Language) -> Language:
        sources = list(nlp.meta.get("sources") or ())
        nlp.meta["sources"] = sources if row in sources else [*sources, row]
        nlp.meta[TRAINED_ON] = found.source
        return nlp

    return name_cohort
