"""Training beyond spaCy's own loop: examples of one sentence, steps in epochs, grids, runs over many corpora."""
