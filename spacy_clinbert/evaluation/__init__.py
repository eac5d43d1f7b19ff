"""Scorers and reports."""
