# Two commands: `make demo` and `make test`. Both make .venv first; nothing else is needed but python3-venv.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

# PyPI's torch for a PC carries CUDA, gigabytes that nothing here uses: first ask PyTorch's own index for the one without
TORCH = torch==2.13.0
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
cpu-torch = $(1)/bin/pip install --quiet --disable-pip-version-check --no-compile --retries 0 --timeout 20 --index-url $(TORCH_INDEX) $(TORCH) 2>$(1)/torch.log \
  || { echo "no torch without CUDA from $(TORCH_INDEX), so the one of pip's index:"; $(1)/bin/pip install --quiet --disable-pip-version-check --no-compile $(TORCH); }

# a third of the time a test waits for a process: three workers keep two cores at work
WORKERS ?= $(shell echo $$(($$(nproc) * 3 / 2)))

# thousands of processes start, and none of them has to compile the code again, whatever this machine prefers
test test-slow test-peers: export PYTHONDONTWRITEBYTECODE =
test: export ENERGYMETER_TEST_PROFILE = quick

.PHONY: demo test test-slow test-peers test-web check test-all clean

demo: $(VENV)/.demo
	$(BIN)/python examples/voice.py

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not slow and not peers' $(if $(REPORTS),--junitxml=$(REPORTS)/test.xml)

# what needs seconds of real time: programs that were found to fail once, long loops, long examples; and the
# property tests with all their examples, of which `make test` tries thirty
test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -n auto -m '(slow or hypothesis) and not peers' $(if $(REPORTS),--junitxml=$(REPORTS)/slow.xml)

# packages that stay out of the test extra: pi-ina219 needs a compiler, jetson-stats is AGPL, notebooks are many
test-peers: $(VENV)/.peers
	$(VENV)-pi-ina219/bin/python -m pytest -m 'not slow' tests/drivers/test_ina219.py tests/drivers/test_km003c.py tests/meter/test_progress.py $(if $(REPORTS),--junitxml=$(REPORTS)/pi-ina219.xml)
	$(VENV)-jetson/bin/python -m pytest tests/drivers/test_jtop.py tests/drivers/test_jtop_service.py $(if $(REPORTS),--junitxml=$(REPORTS)/jetson.xml)

# the page in Chromium, counters with Prometheus, a broker that is started again: of Debian, skipped where they are not
test-web: $(VENV)/.test
	$(BIN)/pip install --quiet --disable-pip-version-check playwright
	$(BIN)/python -m pytest -m peers tests/serve $(if $(REPORTS),--junitxml=$(REPORTS)/web.xml)

check: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --ignore-missing-imports --allow-untyped-calls examples
	$(BIN)/lint-imports

# the suite on every Python that is installed here
test-all:
	@for version in 3.10 3.11 3.12 3.13; do \
	  if command -v python$$version >/dev/null && python$$version -c '' 2>/dev/null; then \
	    $(MAKE) test PYTHON=python$$version VENV=.venv-$$version || exit 1; \
	  else echo "python$$version is not installed here: skipped"; fi; \
	done

-include benchmarks/Makefile.inc examples/Makefile.inc tests/*/Makefile.inc

clean:
	rm -rf .venv .venv-* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .cache
	find . -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: setup.cfg | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[voice]'
	touch $@

# LOCK names a file of exact versions and their hashes, as CI does; without it the newest ones are installed
$(VENV)/.test: setup.cfg $(LOCK) | $(BIN)/python
	$(if $(LOCK),$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(LOCK))
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(VENV)/.peers: setup.cfg | $(BIN)/python
	for extra in pi-ina219 jetson; do \
	  $(PYTHON) -m venv $(VENV)-$$extra || exit 1; \
	  $(VENV)-$$extra/bin/pip install --quiet --disable-pip-version-check --editable ".[$$extra]" pytest pytest-rerunfailures hypothesis || exit 1; \
	done
	$(VENV)-pi-ina219/bin/pip install --quiet --disable-pip-version-check cryptography ipykernel ipywidgets km003c pyusb
	touch $@
