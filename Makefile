# Two commands: `make demo` and `make test`. Both make .venv first; nothing else is needed but python3-venv.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo test test-slow check test-all clean

demo: $(VENV)/.demo
	$(BIN)/python examples/voice.py

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto -m 'not slow'

# what needs seconds of real time: programs that were found to fail once, long loops, long examples
test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -n auto -m slow

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# the suite on every Python that is installed here
test-all:
	@for version in 3.10 3.11 3.12 3.13; do \
	  if command -v python$$version >/dev/null && python$$version -c '' 2>/dev/null; then \
	    $(MAKE) test PYTHON=python$$version VENV=.venv-$$version || exit 1; \
	  else echo "python$$version is not installed here: skipped"; fi; \
	done

-include benchmarks/Makefile.inc tests/*/Makefile.inc

clean:
	rm -rf .venv .venv-* build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: setup.cfg | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[voice]'
	touch $@

$(VENV)/.test: setup.cfg | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@
