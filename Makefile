# Every target sets up what it needs: uv, Python 3.13 and .venv.
PYTHON := .venv/bin/python
# An ARM answer to GET .../providers/Microsoft.Authorization/roleDefinitions.
ROLES ?= ../shared/data/roles/builtin_roles_full_arm_response.json

.DEFAULT_GOAL := help
.PHONY: help demo test unit faults check bench docs az requirements roles clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/ready ## recycle a machine in a local Azure and watch its access come back
	@$(PYTHON) -m sandbox demo

test: .venv/ready .tools/azurite.ready ## run all tests, on loopback only
	@$(PYTHON) -m pytest

unit: .venv/ready ## run the tests that need no sockets, in seconds
	@$(PYTHON) -m pytest tests/unit tests/properties

faults: .venv/ready ## try every wrong answer, and death, at every call, in about 15 minutes
	@$(PYTHON) -m tests.faults

check: .venv/ready ## check format, lint, types and import contracts
	@tools/check.sh

bench: .venv/ready ## measure against the budgets
	@$(PYTHON) -m benchmarks.sandbox_requests
	@$(PYTHON) -m benchmarks.policy
	@$(PYTHON) -m benchmarks.interleaving
	@$(PYTHON) -m benchmarks.calls
	@$(PYTHON) -m benchmarks.cold_start

docs: .venv/ready ## rebuild the generated pages of docs/ and the schemas in policies/
	@$(PYTHON) -m tools.fidelity
	@$(PYTHON) -m tools.policy_docs
	@$(PYTHON) -m tools.holds
	@$(PYTHON) -m tools.failures
	@$(PYTHON) -m tools.scenarios

az: .venv/ready .tools/az/ready ## let the published az work on the local Azure, and write down what it did
	@$(PYTHON) -m tools.az_transcript

requirements: ## pin the newest runtime packages in requirements.txt
	@mkdir -p .tools
	@tools/uv.sh pip compile pyproject.toml --quiet --upgrade --no-config \
		--python-version 3.13 --python-platform linux --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --output-file .tools/requirements.txt
	@{ echo "# Made from pyproject.toml by: make requirements"; cat .tools/requirements.txt; } > requirements.txt

roles: .venv/ready ## rebuild reconciler/roles.csv (ROLES=<role definitions as ARM lists them>)
	@$(PYTHON) -m tools.roles $(ROLES)

clean: ## remove environments, caches and build output
	@rm -rf .venv .tools build dist .coverage* .hypothesis .*_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/ready: pyproject.toml requirements.txt .python-version tools/setup.sh
	@tools/setup.sh

# It is there only where npm could install it; else every run tries again.
.tools/azurite.ready: tools/azurite.sh
	@tools/azurite.sh

# About 370 MB, and of no use to anything else.
.tools/az/ready: tools/uv.sh
	@echo "Installing azure-cli in .tools/az (once)" >&2
	@tools/uv.sh venv --quiet --clear --python 3.13 .tools/az
	@tools/uv.sh pip install --quiet --python .tools/az/bin/python azure-cli
	@touch $@
