"""Rules over plain text: placeholders, sections and sentences as character offsets. No spaCy, no torch."""

from .lexicon import Lexicon, load_lexicon
from .original import original_segments
from .placeholders import Placeholder, find_placeholders
from .sections import Section, split_sections
from .sentences import split_sentences

__all__ = [
    "Lexicon",
    "Placeholder",
    "Section",
    "find_placeholders",
    "load_lexicon",
    "original_segments",
    "split_sections",
    "split_sentences",
]
