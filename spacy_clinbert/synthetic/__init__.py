"""Generators that write synthetic corpora in their native formats."""
