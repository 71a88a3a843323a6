# Two commands for everybody: `make demo` and `make test`. Nothing is needed but Python >= 3.11 and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# On Linux the default torch brings several GB of CUDA libraries. For the small CPU build:
#   make demo PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=
# Tests run in so many processes, the tests of a file in one of them, the longest files first.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: install demo test lint check docs clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed; name one: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	touch $@

$(VENV)/.spark: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev,spark,tune,onnx]'
	touch $@

demo: install
	$(BIN)/gru4rec-study run --config configs/demo.yaml

# Spark is half a gigabyte that only its tests need, beside Java 17; the other extras are for the tests of what they add.
test: $(VENV)/.spark
	$(PYTEST)

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint
	$(PYTEST) --quiet -m "not slow"

docs: install
	$(BIN)/python docs/dev/configuration.py
	$(BIN)/python docs/dev/checks.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
