"""Clinical BERT pipelines in spaCy.

Importing this package imports neither spaCy nor torch: export workers that need only `spacy_clinbert.rules` start in
milliseconds.
"""

__version__ = "0.1.0"


def register_extensions() -> None:
    """Register the `._.clinbert_…` extension attributes, for a DocBin that is read without its pipeline."""
    from .components.extensions import register_extensions as register

    register()
