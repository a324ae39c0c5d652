# Wants Python 3.11, git, make and pip; everything else is installed into $(VENV).
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH)
export MLFLOW_DISABLE_TELEMETRY := true
export BENTOML_DO_NOT_TRACK := True

.DEFAULT_GOAL := help
VERSION ?= auto
.PHONY: help run bento test bench check format clean

help:  ## This list
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/:.*## /\t/'

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

run: $(VENV)/.installed  ## A bald campaign on synthetic castings, tracked in MLflow
	mlflow run . --env-manager local --experiment-name casting-defects -P strategy=bald
	@printf '\nSee the rounds:    %s\nServe the model:   %s\nScore a casting:   %s\n' \
	  '. $(VENV)/bin/activate && mlflow ui   # http://127.0.0.1:5000, there "Model training"' \
	  '. $(VENV)/bin/activate && bentoml serve service.inspector:CastingInspector --host 127.0.0.1' \
	  "curl -F images=@$$(ls synthetic-castings/*/images/*.png | head -1) http://127.0.0.1:3000/score"

bento: $(VENV)/.installed  ## A Bento that carries a model version: VERSION=7, or the current one
	rm -rf build/bento && mkdir -p build/bento
	cp -r bentofile.yaml models service build/bento
	$(BIN)/python -m jobs export build/bento/version --version $(VERSION)
	bentoml build build/bento

test: $(VENV)/.installed-dev  ## Every test, two files at a time
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

WAYS = all,auto
LEARNER = $(BIN)/python -m benchmarks.learner $(if $(CASTING),castings=$(CASTING)/manifest.csv) \
  $(if $(MAGNETIC_TILE),tiles=$(MAGNETIC_TILE)/manifest.csv)

bench: $(VENV)/.installed  ## Speed beside peers and limits, into docs/benchmarks; CASTING=… MAGNETIC_TILE=… for all
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m benchmarks $(CASTING) > docs/benchmarks/speed.md
	@cat docs/benchmarks/speed.md
	$(BIN)/python -m benchmarks.serving > docs/benchmarks/serving.md
	$(BIN)/python -m benchmarks.explain $(MAGNETIC_TILE) > docs/benchmarks/explain.md
	$(if $(CASTING)$(MAGNETIC_TILE),$(LEARNER) > docs/benchmarks/learner.md)
	$(if $(CASTING)$(MAGNETIC_TILE),$(LEARNER) --train $(WAYS) --seeds 0-1 >> docs/benchmarks/learner.md)
	$(BIN)/python -m benchmarks.scale > docs/benchmarks/scale.md
	$(BIN)/python -m benchmarks.startup > docs/benchmarks/startup.md

check: $(VENV)/.installed-dev  ## Formatting, lint, types, layers, dependencies, dead code, lines, docs
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	deptry .
	vulture
	$(BIN)/python .ci/lines.py
	$(BIN)/python docs/generate.py --check

format: $(VENV)/.installed-dev  ## Put the code and the generated parts of the pages in order
	ruff check --fix .
	ruff format .
	$(BIN)/python docs/generate.py

clean:  ## Remove what runs leave behind, the environment excepted
	rm -rf mlruns mlartifacts mlflow.db ledger.db embeddings synthetic-castings build
