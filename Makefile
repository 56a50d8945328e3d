# Every target makes the environment it needs in .venv; Python >= 3.11 and git are
# all it assumes. Choose the interpreter with `make test PYTHON=python3.12`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
DEMO_OUTPUT ?= demo-output
# One BLAS thread in each test process: the processes already use all the cores.
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1

# Interpreters of `make matrix`; the first also runs with the lowest versions.
PYTHONS ?= python3.11 python3.12 python3.13

.PHONY: demo test lint format bench docs matrix campaign clean

demo: $(VENV)/.installed
	$(BIN)/gplvm demo --output $(DEMO_OUTPUT) --force

test: lint
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/.installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/run.py

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# The tests on every Python, and on the lowest versions that pyproject promises.
matrix:
	set -e; for python in $(PYTHONS); do \
	  $(MAKE) test PYTHON=$$python VENV=.venv-$$python; \
	done
	$(firstword $(PYTHONS)) campaigns/lowest_versions.py > .lowest-versions
	PIP_CONSTRAINT=$(CURDIR)/.lowest-versions \
	  $(MAKE) test PYTHON=$(firstword $(PYTHONS)) VENV=.venv-lowest

# Hostile data, damaged files and odd command lines, many more than the tests try.
CASES ?= 20000
campaign: $(VENV)/.installed-test
	$(ONE_THREAD) $(BIN)/python campaigns/hostile_data.py --cases $(CASES)
	$(ONE_THREAD) $(BIN)/python campaigns/model_files.py --cases $(CASES)
	$(ONE_THREAD) $(BIN)/python campaigns/command_line.py

clean:
	rm -rf $(VENV) .venv-* .lowest-versions $(DEMO_OUTPUT) docs/_build docs/gallery docs/reference/generated

# The stamp is written last, so that an interrupted installation starts again.
$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "gplvm needs Python >= 3.11; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade "pip>=25.1"
	$(PIP) install --quiet --editable .
	@touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	$(PIP) install --quiet --group $*
	@touch $@
