# Everything is set up in .venv by the first call that needs it; a second call finds it ready.
#
#   make demo                       identify a real series and a simulated plant; figures in out/
#   make demo DATA=file.csv Y=temperature U=0,1 DT=0.08       the same with your own data
#   make test                       the tests and doctests      make test ARGS="-k kalman"
#   make check                      format, lint, spelling, types, layers, numpydoc
#   make docs                       the site, in docs/_build/html
#   make bench                      the benchmarks, and their page   make bench ARGS="scans kalman"
#   make constraints                renew the tested versions
#   make clean                      remove what was built (.venv stays)

PYTHON ?= python3
ARGS ?=
WORKERS ?= auto
# One BLAS thread per process: the tests run in several processes.
export OPENBLAS_NUM_THREADS ?= 1

BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
# The one version that is chosen and not found: it installs without a GPU and was tested.
TORCH := torch==2.13.0
PACKAGES := realization identification canonical_forms diffusion

.PHONY: demo test check docs bench setup constraints clean

demo: .venv/core.stamp
	$(BIN)/python examples/demo.py $${DATA:+--data "$$DATA"} $${Y:+--y "$$Y"} $${U:+--u "$$U"} \
		$${DT:+--dt "$$DT"} --out out

test: .venv/test.stamp
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 8 $(ARGS)

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m codespell_lib
	$(BIN)/python -m pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/test_public_api.py

docs: .venv/dev.stamp
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

bench: .venv/bench.stamp
	$(BIN)/python benchmarks/run.py $(ARGS)

setup: .venv/dev.stamp

# Each of these installs what the one before it does, and more.
.venv/core.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(INSTALL) -e . statsmodels
	@touch $@

.venv/test.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(INSTALL) -e ".[test,torch,video,distributed]"
	@touch .venv/core.stamp $@

.venv/bench.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(INSTALL) -e ".[bench]"
	@touch .venv/core.stamp .venv/test.stamp $@

.venv/dev.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(INSTALL) -e ".[dev]"
	@touch .venv/core.stamp .venv/test.stamp $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
		"Python 3.11 or newer is needed, found %d.%d. Try: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv

constraints:
	rm -rf .venv-constraints
	$(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/python -m pip install --quiet -e ".[dev]" $(TORCH)
	( echo "# Tested versions, made by 'make constraints': a fresh install of .[dev], frozen."; \
		.venv-constraints/bin/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' ) \
		> constraints.txt
	rm -rf .venv-constraints

clean:
	rm -rf out dist build docs/_build docs/gallery docs/api/generated
	rm -rf .pytest_cache .ruff_cache .hypothesis .import_linter_cache .venv-constraints
	find $(PACKAGES) tests examples benchmarks -name __pycache__ -type d -exec rm -rf {} +
