# The two commands: `make demo` runs the main job on real data, `make test` passes the tests.
# For developers: `make explore` draws new examples for the property tests, `make coverage` prints
# which lines the tests run.
# Everything is installed into .venv, which is made once and renewed when pyproject.toml or
# constraints.txt changes.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The pinned torch; its CPU build is installed ahead of all that would fetch another.
TORCH := $(shell sed -n 's/^\(torch==[0-9.]*\).*/\1/p' constraints.txt)
# The index of CPU builds is asked first and not waited for; without it pip takes what it finds.
CPU_INDEX := https://download.pytorch.org/whl/cpu

# Minutes that `make explore` takes.
MINUTES ?= 10

.PHONY: demo board-demo test lint explore coverage evidence setup clean

demo: $(STAMP)
	$(BIN)/sqhw demo --budget blocks=22,cycles=50000 --out build/demo

# A bitstream of the demo's network for an iCEBreaker: minutes of place and route.
board-demo: demo
	$(BIN)/pip install -q -c constraints.txt -e '.[rtl,synth]'
	$(BIN)/sqhw build build/demo/network.safetensors --board iCEBreaker --out build/board-demo

test: $(STAMP) lint
	$(BIN)/pytest -q -n 2 --dist worksteal

# Rounds of all quick property tests, each with a seed of its own, until the time is over. Each round
# prints its seed; with `--hypothesis-seed` a round that failed runs again.
explore: $(STAMP)
	@end=$$(($$(date +%s) + 60 * $(MINUTES))); \
	while left=$$((end - $$(date +%s))); test $$left -gt 0; do \
		seed=$$(od -An -N4 -tu4 /dev/urandom | tr -d ' '); \
		echo "pytest -m 'hypothesis and not slow' --hypothesis-profile explore --hypothesis-seed $$seed"; \
		timeout --signal=INT $$left $(BIN)/pytest -q -x -n 2 --dist worksteal \
			-m 'hypothesis and not slow' --hypothesis-profile explore --hypothesis-seed $$seed; \
		result=$$?; \
		test $$result -eq 0 || test $$result -eq 124 || exit $$result; \
	done

# Lines that run in simulators, in processes of their own or as compiled kernels are not counted.
coverage: $(STAMP)
	$(BIN)/pytest -q -n 2 --dist worksteal -m 'not slow' --cov --cov-report=term:skip-covered

# Hours: what is too long for the tests, as each part repeats what a quicker test shows once.
# - mutants: all faults of the RTL, those of the source each with a build (tests: a sample);
# - drawn: faults that yosys draws from the netlist, in one build (tests: none);
# - fuzz: files with random damage (tests: few files);
# - networks: each engine in both simulators on 100 networks (tests: in one simulator on 8);
# - engines: the other tests with the mark `evidence`, on engines that the tests leave out;
# - examples: the property tests with 300 examples each (tests: 40);
# - gates: netlists of small engines after synthesis, in Icarus Verilog (tests: none).
# The first two write a table beside their code. A part that fails does not keep the next from
# running, but make fails.
evidence: $(STAMP)
	failed=; \
	$(BIN)/python -m benchmarks.mutants || failed="$$failed mutants"; \
	$(BIN)/python -m benchmarks.mutants.drawn || failed="$$failed drawn"; \
	$(BIN)/python -m benchmarks.fuzz --files 10000 || failed="$$failed fuzz"; \
	$(BIN)/pytest -q -n 2 tests/hdl/test_engine.py --evidence --networks 100 || \
		failed="$$failed networks"; \
	$(BIN)/pytest -q -n 2 --evidence -m evidence --deselect tests/hdl/test_engine.py || \
		failed="$$failed engines"; \
	$(BIN)/pytest -q -n 2 -m hypothesis --hypothesis-profile evidence || failed="$$failed examples"; \
	$(BIN)/python -m benchmarks.gates || failed="$$failed gates"; \
	test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sqhw needs Python 3.11 or later; run: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments; run: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }
	@echo "installing into $(VENV) (minutes, the first time)"
	@$(BIN)/python -c 'from importlib import metadata as m; assert "torch==" + m.version("torch").split("+")[0] == "$(TORCH)"' 2>/dev/null || \
		$(BIN)/pip install -q --retries 0 --timeout 10 --extra-index-url $(CPU_INDEX) $(TORCH) 2>/dev/null || \
		$(BIN)/pip install -q $(TORCH)
	$(BIN)/pip install -q -c constraints.txt -e '.[torch,onnx,rtl,dev]'
	@touch $@

clean:
	rm -rf build dist $(VENV) .tools sim_build .coverage *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
