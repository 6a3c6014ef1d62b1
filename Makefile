# `make demo` and `make test` set up what they need under .local/ and target/.

PYTHON ?= python3
TOOLS := .local/tools/bin
# What the local AWS and its tests import.
export PYTHONPATH := $(CURDIR)/tests/local-aws:$(CURDIR)/tests
export PYTHONDONTWRITEBYTECODE := 1
export SAM_CLI_TELEMETRY := 0

.PHONY: help demo test unit releases lint emulators tools

help: ## Say what there is to make.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: tools emulators ## Install into a local AWS, push images, and show four releases live.
	@$(TOOLS)/python -m demo $(if $(KEEP),--keep)

test: lint unit releases ## Run every check and every test.

lint: tools ## Check format, lints, template and dependencies.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features shared/planetscale -- -D warnings
	AWS_DEFAULT_REGION=us-east-1 $(TOOLS)/sam validate --lint
	$(TOOLS)/cfn-lint --region us-east-1 --template template.yaml
	.local/checkov/bin/checkov --config-file .checkov.yaml

unit: ## Run the tests of the decisions and of the two emulators.
	cargo test --features shared/planetscale

releases: tools emulators ## Run the tests of the local AWS, and whole releases on it.
	$(TOOLS)/python -m pytest tests/local-aws tests/releases

emulators:
	@cargo build --quiet -p planetscale-emulator -p lightsail-emulator

tools:
	@$(PYTHON) tests/local-aws/setup
