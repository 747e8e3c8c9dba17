# Two commands matter: `make demo` and `make test`. The rest is for working on Koubo itself.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Workers and libraries share the cores; each library taking all of them only makes them wait.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-all test-backends lint bench sheets minio compose model clean

demo: $(VENV)/demo.stamp
	$(BIN)/koubo setup
	$(BIN)/python -m demo

test: $(VENV)/dev.stamp lint
	$(BIN)/koubo setup
	PYTHON=$(BIN)/python infra/minio/install
	$(BIN)/python -m pytest -m "not slow"

test-all: $(VENV)/dev.stamp lint
	$(BIN)/koubo setup
	PYTHON=$(BIN)/python infra/minio/install
	$(BIN)/python -m pytest

# PyTorch, Ascend's packages, MindSpore and TVM, each in an environment of its own in the cache: some
# 10 GB the first time.
test-backends: $(VENV)/dev.stamp
	PYTHON=$(BIN)/python infra/backends/test

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/dev.stamp
	$(BIN)/koubo setup
	PYTHON=$(BIN)/python infra/minio/install
	$(BIN)/python -m bench

# Contact sheets of every face with every voice, measured; FACES and VOICES name folders of your own,
# TOLD=1 also tells the mouth the phones that lie beside a voice.
sheets: $(VENV)/demo.stamp
	$(BIN)/koubo setup
	$(BIN)/python -m sheets $(if $(FACES),--faces "$(FACES)") $(if $(VOICES),--voices "$(VOICES)") $(if $(TOLD),--told)

# MinIO on loopback, wired to functions on ports 8001 to 8003; `koubo wire` makes its buckets.
minio: $(VENV)/dev.stamp
	PYTHON=$(BIN)/python infra/minio/serve

# Everything in containers, each function in its own.
compose:
	infra/secrets/make
	docker compose --file infra/compose.yaml up --build

# Makes the default model from nothing; needs espeak-ng and flite, see training/README.md.
model:
	$(MAKE) -C training

clean:
	rm -rf $(VENV) demo/out bench/made sheets/made

$(VENV)/%.stamp: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$*]'
	touch $@
