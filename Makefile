# Everything happens in .venv, which these targets make and keep up to date themselves.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
CONFIG ?= profilemesh.yml
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Hundreds of processes of the tests would compile the same modules, each for itself.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run seed test prove bench lint clean browser

run: .venv/run seed
	$(BIN)/profilemesh -c $(CONFIG) serve

seed: .venv/run
	$(BIN)/python seed.py -c $(CONFIG) $(if $(DAYS),--days $(DAYS))

# Three also on two cores: there is always a test that waits for a timeout, for another process or for a browser.
test: lint browser
	$(BIN)/python -m pytest -n 3 --dist loadfile -m "not prove"

prove: .venv/test browser
	$(BIN)/python -m pytest -m prove --timeout 3600 -rP

bench: .venv/test
	@for script in bench/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

browser: .venv/test
	$(BIN)/python tests/browser/install.py

clean:
	rm -rf .venv demo profilemesh.db profilemesh.db-wal profilemesh.db-shm

.venv/bin/pip:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ProfileMesh needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv

# --no-deps: requirements.txt names every package there is, pinned.
.venv/run: requirements.txt pyproject.toml | .venv/bin/pip
	$(BIN)/pip install -q --no-deps -r requirements.txt
	$(BIN)/pip install -q --no-deps -e .
	@touch $@

.venv/test: .venv/run
	$(BIN)/pip install -q -c requirements.txt -e ".[test]"
	@touch $@
