PYTHON ?= .venv/bin/python

.PHONY: check fix test bench serve

check: ## formatting, lint, types, import contracts, tests without the slow ones
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(dir $(PYTHON))lint-imports
	$(PYTHON) -m pytest -q -n 2 -m "not slow"

fix:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

test: ## everything
	$(PYTHON) -m pytest -n 2

bench:
	$(PYTHON) -m benchmarks

serve:
	$(dir $(PYTHON))flowrun server
