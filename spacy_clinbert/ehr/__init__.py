"""Coded visits: readers, vocabulary, sequences, cohorts."""
