VENV ?= .venv
PYTHON := $(VENV)/bin/python
JOBS ?= 2

.PHONY: check lint test fix bench serve

check: lint ## what to run before every commit, about a minute
	$(PYTHON) -m pytest -q -n $(JOBS) -m "not slow"

lint: $(VENV)/.developing ## formatting, lint, types, import contracts
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(VENV)/bin/lint-imports

test: $(VENV)/.developing ## all tests
	tests/machine.sh
	$(PYTHON) -m pytest -n $(JOBS)

fix: $(VENV)/.developing
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

bench: $(VENV)/.developing ## every benchmark, beside its peers
	$(PYTHON) -m benchmarks

serve: $(VENV)/.developing
	$(VENV)/bin/flowrun server

# An environment with flowrun from this checkout and all that developing it needs.
$(VENV)/.developing: pyproject.toml
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet uv
	$(PYTHON) -m uv pip install --quiet --compile-bytecode --python $(PYTHON) --group dev -e .
	touch $@
