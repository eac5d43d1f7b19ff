"""Readers of annotated corpora, one per format."""
