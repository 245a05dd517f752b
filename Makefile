# The project's verbs. Each works on a fresh clone with nothing but Python 3.11+, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python

.DEFAULT_GOAL := help
.PHONY: help run test check unit e2e synth snapshot deploy bench models-check key keys key-revoke key-rotate clean

help: ## List the verbs
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 16

run: ## Serve the whole API on http://localhost:8000, with no AWS account, no Docker and no key
	@exec $(PYTHON) -m local run

$(VENV)/.dev: requirements-dev.txt requirements.txt constraints.txt lambdas/requirements.txt local/requirements.txt
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

test: check ## Install what is needed and run every test
	$(PY) -m pytest -n 2 --dist loadgroup -m "not e2e and not cdk"
	$(PY) -m pytest -m "e2e or cdk"

check: $(VENV)/.dev ## Lint, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.dev ## The tests that need no local stack
	$(PY) -m pytest -n 2 --dist loadgroup -m "not e2e and not cdk"

e2e: $(VENV)/.dev ## The tests over HTTP against the local stack
	$(PY) -m pytest -m e2e

synth: $(VENV)/.dev ## Write the CloudFormation templates to cdk.out; needs no AWS credentials
	$(PY) app.py

snapshot: $(VENV)/.dev ## Write the templates that `make run` deploys
	$(PY) -m infra.snapshot

deploy: $(VENV)/.dev ## Deploy to the AWS account of the current credentials
	$(PY) -m infra.cli deploy --all

bench: $(VENV)/.dev ## Measure cold starts and what the service adds to a provider's time
	$(PY) -m benchmarks.cold
	$(PY) -m benchmarks.gateway

models-check: $(VENV)/.dev ## Compare the catalogue with what the configured accounts really have
	$(PY) -m lambdas.providers.models_check

STACK ?= local

key: ## Make an API key: TENANT=acme [NAME=...] [STACK=local|dev|prod]
	@$(PYTHON) -m local key "$(TENANT)" --stack $(STACK) $(if $(NAME),--name "$(NAME)")

keys: ## List the keys of a tenant: TENANT=acme [STACK=...]
	@$(PYTHON) -m local keys "$(TENANT)" --stack $(STACK)

key-revoke: ## End a key: KEY_ID=key_... [STACK=...]
	@$(PYTHON) -m local key-revoke "$(KEY_ID)" --stack $(STACK)

key-rotate: ## Replace a key: KEY_ID=key_... [GRACE=24h] [STACK=...]
	@$(PYTHON) -m local key-rotate "$(KEY_ID)" --stack $(STACK) $(if $(GRACE),--grace $(GRACE))

clean: ## Remove what was built; the data of `make run` stays
	rm -rf $(VENV) cdk.out build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
