.PHONY: setup tools demo test test-slow check bench bench-accuracy lock generate starter
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Some machines tell Python to keep no compiled code: each of the hundreds of processes that tests start, and the tests
# themselves, would be compiled anew. Empty is as good as unset.
export PYTHONDONTWRITEBYTECODE :=

setup: .venv/ready
.venv/ready: pyproject.toml requirements.lock
	test -x $(BIN)/python || python3 -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -o '^uv==[^ ]*' requirements.lock)"
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

# With nobody at a terminal the demo measures, prints and ends; otherwise it stays up.
demo: setup
	if [ -t 0 ]; then edgewise demo; else edgewise demo --once; fi

# Programs that tests use beside Python's, each Debian's own: a browser's own download is pinned to one old build.
# Where they cannot be installed, tests say that they were skipped; under CI they fail.
tools:
	missing=""; for tool in chromium:chromium node:nodejs npm:npm systemd-analyze:systemd faketime:faketime nginx:nginx varnishd:varnish; do \
	  command -v "$${tool%%:*}" >/dev/null || missing="$$missing $${tool##*:}"; done; \
	[ -z "$$missing" ] || { apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; } || true

# What opens ledgers: beside what `make test` runs on both databases, all of it runs on PostgreSQL in `make test-slow`.
ON_POSTGRESQL := $(addprefix tests/,codes contract experiments/test_ramp.py hub imports journeys learning linkage mail process prove \
  release rewards/test_view.py sources train webhooks)

# Three at a time on two cores: many tests wait for processes of their own.
test: setup tools
	pytest -n 3 --dist worksteal

test-slow: setup tools
	pytest -m slow
	pytest -n 3 --dist worksteal --database postgresql $(ON_POSTGRESQL)

check: setup
	ruff check && ruff format --check
	mypy
	lint-imports
	buf lint proto && buf breaking proto --against proto/baseline.binpb
	python proto/generate.py --check

# The performance figures of this machine: about eleven minutes; ARGS="--quick" three, ARGS="--only P4" one figure.
bench: setup
	PYTHONPATH=tests python -m figures --json figures.json --report figures.html $(ARGS)

# How good the models are on public data, beside published numbers; ARGS="--only movielens" one data set.
bench-accuracy: setup
	PYTHONPATH=tests python -m accuracy --json accuracy.json --report accuracy.html $(ARGS)

# For maintainers: pin again, and write the generated protocol code again.
lock: setup
	uv pip compile pyproject.toml --extra edge --extra hub --extra postgres --extra tune --group dev --python-version 3.11 --upgrade \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header -o requirements.lock
generate: setup
	python proto/generate.py
# The bundle that an edge starts with when there is no hub; written only when its content changed.
starter: setup
	python -m hub.release.starter exported_models/starter
