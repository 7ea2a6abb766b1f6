# Every target builds what it needs: a virtual environment from the locked set (requirements.lock, with hashes).
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Half as many again as there are cores, at most four: many tests wait for a server. A file's tests stay together, and
# files are dealt out in their order, in which the long ones (tests/app) come early.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); n=$$((n + n / 2)); echo $$((n > 4 ? 4 : n)))

# Bytecode is kept even where the environment says not to: without it each process compiles its imports anew.
unexport PYTHONDONTWRITEBYTECODE

# Other systems, each in an environment of its own under FAIRLEAD_PEERS (a benchmark, never a dependency).
FAIRLEAD_PEERS ?= $(CURDIR)/.peers
export FAIRLEAD_PEERS

.PHONY: help demo test test-all check bench bench-large bench-peers bench-serving bench-rollouts bench-tick soak lock format browser alertmanager clean

help:
	@echo "make demo      the whole loop on real data, a minute and a half"
	@echo "make test      the tests"
	@echo "make test-all  the tests and the slow guarantee and fault suites"
	@echo "make check     formatting, lint, types, import contracts"
	@echo "make bench     the benchmarks, with their ratios"
	@echo "make bench-large   profiles of a hundred million rows; writes 9 GiB (ARGS=\"--folder DIR --sizes 1 2 4 8\")"
	@echo "make bench-peers   the same work by other systems, from their own packages"
	@echo "make bench-rollouts  rollouts simulated on the controller's own code, beside thresholds on the same streams"
	@echo "make bench-serving   the gateway against BentoML, MLServer, MLflow and Ray Serve, from their own packages"
	@echo "make soak      ten minutes of load, a spike, and a picture of it (ARGS=\"--svg FILE --json FILE\")"

$(READY): requirements.lock requirements-installer.lock pyproject.toml
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-installer.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements-installer.lock requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(READY)

demo: $(READY)
	@$(BIN)/fairlead demo $(ARGS)

test: $(READY) browser alertmanager
	@$(BIN)/python -m pytest -m "not slow" --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

test-all: $(READY) browser alertmanager
	@$(BIN)/python -m pytest $(ARGS)

check: $(READY)
	@$(BIN)/ruff format --check src tests benchmarks
	@$(BIN)/ruff check src tests benchmarks
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY)
	@$(BIN)/python benchmarks/drift_report.py
	@$(BIN)/python benchmarks/drift_report.py --rows 1000000 --repeats 1
	@$(BIN)/python benchmarks/sequential.py
	@$(BIN)/python benchmarks/estimation.py --skip-simulation
	@$(BIN)/python benchmarks/mmd.py
	@$(BIN)/python benchmarks/serving.py
	@$(BIN)/python -m benchmarks.slow_model
	@$(BIN)/python benchmarks/predictors.py
	@$(BIN)/python benchmarks/scoring.py
	@$(BIN)/python benchmarks/compaction.py
	@$(BIN)/python -m benchmarks.observing
	@$(BIN)/python -m benchmarks.streaming
	@$(BIN)/python -m benchmarks.features
	@$(BIN)/python -m benchmarks.route_change
	@$(BIN)/python -m benchmarks.route_change_postgres
	@$(BIN)/python -m benchmarks.hostile.fuzz

bench-large: $(READY)
	@$(BIN)/python benchmarks/out_of_core.py $(ARGS)

bench-peers: $(READY)
	@$(BIN)/python -m benchmarks.peers.install
	@$(BIN)/python -m benchmarks.peer_speed
	@$(BIN)/python -m benchmarks.calibration
	@$(BIN)/python -m benchmarks.power

bench-tick: $(READY)
	@$(BIN)/python -m benchmarks.tick --models 1000 --features 50 --rows 200 --hours 3

bench-rollouts: $(READY)
	@$(BIN)/python -m benchmarks.rollouts $(ARGS)

bench-serving: $(READY)
	@$(BIN)/python -m benchmarks.peers.install serving
	@$(BIN)/python -m benchmarks.serving_peers $(ARGS)

soak: $(READY)
	@$(BIN)/python -m benchmarks.soak $(ARGS)

format: $(READY)
	@$(BIN)/ruff check --fix --quiet src tests benchmarks || true
	@$(BIN)/ruff format src tests benchmarks

lock: $(READY)
	@$(BIN)/uv pip compile --quiet --universal pyproject.toml --extra all --group test --group lint --group bench \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	@echo uv | $(BIN)/uv pip compile --quiet - --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		-o requirements-installer.lock

browser:
	@sh scripts/browser.sh

alertmanager:
	@sh scripts/alertmanager.sh >/dev/null

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .fairlead
