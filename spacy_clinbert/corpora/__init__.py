"""Annotated corpora: readers, one module a form, and what makes Docs of them."""
