# The project's verbs. Each works on a fresh clone with nothing but Python 3.11+, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python

# Compiled tests are kept, also where the user's environment says otherwise: reading them anew takes every process of
# pytest longer than most tests.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run quick test test-gpu browser prometheus check unit stack-tests crowd-tests e2e synth snapshot preflight deploy smoke stage-weights bench ledger fuzz models-check backfill key keys key-revoke key-rotate webhook-secret link-secret clean

help: ## List the verbs
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 18

run: ## Serve the whole API on http://localhost:8000, with no AWS account, no Docker and no key
	@exec $(PYTHON) -m local run

$(VENV)/.dev: requirements-dev.txt requirements.txt constraints.txt lambdas/requirements.txt local/requirements.txt gpu_worker/requirements-server.txt
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Two gigabytes, which only the GPU worker's models need.
$(VENV)/.gpu: $(VENV)/.dev requirements-gpu.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-gpu.txt
	@touch $@

quick: $(VENV)/.dev ## What a change usually needs, in less than a minute: lint, import rules, and the unit tests but the slow ones
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(PY) -m pytest -n auto --dist loadgroup -m "not e2e and not cdk and not gpu and not slow"

test: $(VENV)/.dev browser prometheus ## Install what is needed and run every check and test but those of test-gpu; a failure leaves the rest to run, and fails at the end
	@failed=""; took=""; \
	for verb in check unit stack-tests crowd-tests; do \
		begun=$$(date +%s); $(MAKE) --no-print-directory $$verb || failed="$$failed $$verb"; \
		took="$$took $$verb $$(($$(date +%s) - begun)) s"; \
	done; \
	echo "make test took:$$took"; \
	test -z "$$failed" || { echo "make test: failed in:$$failed" >&2; exit 1; }

test-gpu: $(VENV)/.gpu ## Install torch and the rest of the GPU worker's packages, and run the tests that need them
	$(PY) -m pytest -m gpu

# The tests that drive a browser say what is missing, where none can be installed.
browser:
	@for name in $$CHROME chromium chromium-browser google-chrome google-chrome-stable chrome; do \
		command -v "$$name" >/dev/null && exit 0; done; \
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0; \
	echo "Installing Chromium ..."; apt-get update -qq; \
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null || true

# So do those that run Prometheus. RUNLEVEL=1: it is installed without being started as a service.
prometheus:
	@command -v prometheus >/dev/null && command -v promtool >/dev/null && exit 0; \
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0; \
	echo "Installing Prometheus ..."; apt-get update -qq; \
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus >/dev/null || true

check: $(VENV)/.dev ## Lint, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.dev ## The tests that need no local stack
	$(PY) -m pytest -n auto --dist loadgroup -m "not e2e and not cdk and not gpu"

# Where these tests stand, for the others need not be imported; tests/test_places.py looks whether it is everywhere.
STACK_TESTS := tests/benchmarks tests/e2e tests/infra/deploy tests/ledger tests/local

stack-tests: $(VENV)/.dev browser prometheus ## The tests over HTTP against the local stack, and those of the CDK command line, but those of crowd-tests
	$(PY) -m pytest -n 2 --dist loadfile -m "(e2e or cdk) and not gpu and not alone" $(STACK_TESTS)

crowd-tests: $(VENV)/.dev ## Those of the same that need the machine for themselves: many callers at once, killed processes
	$(PY) -m pytest -m "alone and e2e and not gpu" $(STACK_TESTS)

e2e: $(VENV)/.dev browser prometheus ## The tests over HTTP against the local stack
	$(PY) -m pytest -m "e2e and not gpu" $(STACK_TESTS)

synth: $(VENV)/.dev ## Write the CloudFormation templates to cdk.out; needs no AWS credentials
	$(PY) app.py

snapshot: $(VENV)/.dev ## Write the templates that `make run` deploys
	$(PY) -m infra.snapshot

preflight: $(VENV)/.dev ## Look whether the AWS account is ready for a deployment: [ARGS="-c env=prod ..."]
	$(PY) -m infra.deploy.preflight $(ARGS)

deploy: $(VENV)/.dev ## The same, and deploy to it if it is: [ARGS="-c env=prod ..."]
	$(PY) -m infra.deploy $(ARGS)

smoke: $(VENV)/.dev ## Try a deployment: health, models, one image of the cheapest model and its file: URL=https://... [KEY=...]
	@$(PY) -m infra.deploy.smoke $(URL) $(KEY)

stage-weights: $(VENV)/.gpu ## Put the GPU models' weights into S3, where the account does not by itself: TARGET=s3://bucket/prefix [MODELS=...] [PRUNE=1]
	$(PY) -m gpu_worker.models.weights stage $(TARGET) $(MODELS) $(if $(PRUNE),--prune)

bench: $(VENV)/.dev ## Measure cold starts and what the service adds to a provider's time
	$(PY) -m benchmarks.cold
	$(PY) -m benchmarks.gateway

ledger: $(VENV)/.dev ## Kill 1,000 jobs at every step, and compare what was charged with what is there
	$(PY) -m tests.ledger --jobs 1000 --seed 1

fuzz: $(VENV)/.dev ## Search at random, each time elsewhere: ten times the examples, 5,000 histories, 20,000 spoilt pictures by every way in
	$(PY) -m pytest -n auto --timeout 3600 -m "hypothesis and not gpu" --hypothesis-profile fuzz
	$(PY) -m tests.interleavings --examples 5000
	$(PY) -m tests.pictures --count 20000

models-check: $(VENV)/.dev ## Compare the catalogue with what the configured accounts really have
	$(PY) -m lambdas.providers.models_check

STACK ?= local

backfill: ## Add jobs to the daily sums that ended before there were any: [STACK=local|dev|prod]
	@$(PYTHON) -m local backfill --stack $(STACK)

key: ## Make an API key, and with the first one a webhook secret: TENANT=acme [NAME=...] [STACK=local|dev|prod]
	@$(PYTHON) -m local key "$(TENANT)" --stack $(STACK) $(if $(NAME),--name "$(NAME)")

keys: ## List the keys of a tenant: TENANT=acme [STACK=...]
	@$(PYTHON) -m local keys "$(TENANT)" --stack $(STACK)

key-revoke: ## End a key: KEY_ID=key_... [STACK=...]
	@$(PYTHON) -m local key-revoke "$(KEY_ID)" --stack $(STACK)

key-rotate: ## Replace a key: KEY_ID=key_... [GRACE=24h] [STACK=...]
	@$(PYTHON) -m local key-rotate "$(KEY_ID)" --stack $(STACK) $(if $(GRACE),--grace $(GRACE))

webhook-secret: ## Make or replace what signs a tenant's webhooks: TENANT=acme [GRACE=24h] [STACK=...]
	@$(PYTHON) -m local webhook-secret "$(TENANT)" --stack $(STACK) $(if $(GRACE),--grace $(GRACE))

link-secret: ## Make or replace what signs links to a tenant's images: TENANT=acme [GRACE=7d] [STACK=...]
	@$(PYTHON) -m local link-secret "$(TENANT)" --stack $(STACK) $(if $(GRACE),--grace $(GRACE))

clean: ## Remove what was built; the data of `make run` stays
	rm -rf $(VENV) cdk.out build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
