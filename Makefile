# `make study` and `make test` are all that a fresh machine needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help setup study test bench lint format reference studies-mini faults pages clean audit load docs gallery screenshots

help:  ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 14

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  (echo "PYTHON must be Python 3.11, 3.12 or 3.13, got $$($(PYTHON) --version)" >&2; exit 2)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	touch $@

setup: $(VENV)/installed  ## make a virtual environment with everything

study: setup  ## train a network, map its loss landscape, log both to MLflow
	$(BIN)/study

test: setup  ## run all tests, in as many processes as there are processors, up to four
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

bench: setup  ## time peers, engine and adaptive evaluation: make bench MNIST=FOLDER (an hour)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks.sampling --root "$(MNIST)"
	$(BIN)/python -m benchmarks --root "$(MNIST)"

load: setup  ## measure a thousand runs, a 501 × 501 plane, 16 processes at once (15 minutes, 12 GB)
	$(BIN)/python -m benchmarks.load --json docs/reliability/load.json

lint: setup  ## check style, docstrings and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## put the code in the house's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

audit: setup  ## look for known weaknesses of what is installed (Error 3: its database is out of reach)
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[audit]'
	@found=$$($(BIN)/python -m pip_audit --local --skip-editable --progress-spinner off --timeout 15 2>&1); \
	status=$$?; echo "$$found" | grep -v Traceback | tail -40; \
	if echo "$$found" | grep -qE 'could not be audited|Error|Max retries'; then \
	  echo "audit: the database of weaknesses could not be reached for all that is installed" >&2; \
	  [ $$status -eq 1 ] && echo "$$found" | grep -q '^Found ' || exit 3; \
	fi; exit $$status

reference: setup  ## write the pages of every configuration key and of every command
	$(BIN)/python -m study.reference_pages

docs: setup  ## build the documentation into site/, strict on broken links; nothing is asked of the network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

gallery: setup  ## write docs/gallery.md from real runs, ten minutes: make gallery OUTPUTS=FOLDER
	$(BIN)/python -m study.gallery "$(or $(OUTPUTS),outputs)"

studies-mini: setup  ## run a miniature of every ready-made study, in minutes
	$(BIN)/python -m pytest tests/studies -m "miniature or not miniature" -k miniature

faults: setup  ## kill, starve and damage sweeps hundreds of times, count every case, write docs/reliability.md
	$(BIN)/python -m tests.faults --json docs/reliability/faults.json
	$(BIN)/python -m tests.reliability

pages: setup  ## write docs/studies and the README's verdicts: make pages OUTPUTS=FOLDER
	$(BIN)/python -m study.study_pages "$(or $(OUTPUTS),outputs)"

screenshots: setup  ## picture MLflow's UI for the README: make screenshots OUTPUTS=FOLDER, which holds a sweep
	$(BIN)/python docs/screenshots.py "$(OUTPUTS)"

clean:  ## remove the environment and what tools left behind
	rm -rf $(VENV) dist site .mypy_cache .ruff_cache .hypothesis
