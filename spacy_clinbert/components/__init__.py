"""spaCy factories, one per file."""
