# Each target does its whole set-up in .venv; running it again costs seconds.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
REPORT ?= demo-report

.PHONY: demo test check benchmark clean

demo: $(VENV)/.installed
	$(BIN)/anonbench compare baseline final original gaussian_blur --preset demo --out $(REPORT)
	@echo "The report: $(REPORT)/report.html"

test: $(VENV)/.installed-dev check
	$(BIN)/pytest -n 2 --dist loadfile

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

benchmark: $(VENV)/.installed-dev
	$(BIN)/pytest benchmarks

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) $(REPORT)
