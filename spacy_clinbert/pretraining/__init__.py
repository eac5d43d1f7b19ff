"""Pretraining of transformers on clinical text."""
