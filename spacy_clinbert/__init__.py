"""Clinical BERT pipelines in spaCy.

Importing this package imports neither spaCy nor torch: export workers that need only `spacy_clinbert.rules` start in
milliseconds.
"""

__version__ = "0.1.0"


def register_extensions() -> None:
    """Register the `._.clinbert_…` extension attributes, for a DocBin that is read without its pipeline."""
    from .components.extensions import register_extensions as register_note_extensions
    from .ehr.docs import register_extensions as register_patient_extensions

    register_note_extensions()
    register_patient_extensions()


def make_pair(nlp, premise: str, hypothesis: str):
    """Make the Doc of a pair of texts for `clinbert_pair`; see `components.pair.make_pair`."""
    from .components.pair import make_pair as make

    return make(nlp, premise, hypothesis)
