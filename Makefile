# `make demo` and `make test` set up what they need under .local/ and target/.

PYTHON ?= python3
TOOLS := .local/tools/bin
EXAMPLE := examples/bookings-api/Cargo.toml
# What the local AWS and its tests import.
export PYTHONPATH := $(CURDIR)/local:$(CURDIR)/tests
export PYTHONDONTWRITEBYTECODE := 1
export SAM_CLI_TELEMETRY := 0

.PHONY: help setup demo test unit releases releases-roles releases-states releases-waits releases-others chaos bench lint emulators tools

help: ## Say what there is to make.
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: tools ## Install what the full story needs, with this machine's package manager.
	@$(TOOLS)/python -m cloud.machine --install

demo: tools emulators ## Install into a local AWS, and show releases live. KEEP=1 keeps it, SHORT=1 needs no database or builder.
	@$(TOOLS)/python -m demo $(if $(KEEP),--keep) $(if $(SHORT),--short)

test: lint unit releases ## Run every check and every test.

lint: tools ## Check format, lints, template and dependencies.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features shared/planetscale -- -D warnings
	cargo fmt --manifest-path $(EXAMPLE) --check
	cargo clippy --manifest-path $(EXAMPLE) --target-dir target/example --all-targets -- -D warnings
	AWS_DEFAULT_REGION=us-east-1 $(TOOLS)/sam validate --lint
	$(TOOLS)/cfn-lint --region us-east-1 --template template.yaml
	.local/checkov/bin/checkov --config-file .checkov.yaml

unit: tools ## Run the tests of the decisions, of the two emulators and of the example.
	cargo test --workspace --features shared/planetscale
	$(TOOLS)/python -m cloud.mariadb cargo test --workspace --features shared/planetscale --test api -- --ignored
	cargo test --manifest-path $(EXAMPLE) --target-dir target/example
	$(TOOLS)/python -m cloud.mariadb cargo test --manifest-path $(EXAMPLE) --target-dir target/example -- --ignored

releases: tools emulators ## Run the tests of the local AWS, and whole releases on it, in four local AWSs at a time.
	@$(MAKE) --no-print-directory --jobs=4 --output-sync=line releases-roles releases-states releases-waits releases-others

# Where nobody looks at once, a test that fails is tried a second time, and both are told.
PYTEST = $(TOOLS)/python -m pytest $(if $(CI),--reruns 1 -rR)

# The last of them compares the roles with what the others called.
ROLES := $(patsubst %,tests/releases/test_%.py,buildspec events outcomes permissions preflight service_states unused_permissions)
STATES := $(patsubst %,tests/releases/test_%.py,function_faults races redrive states)
# They wait more than they work.
WAITS := $(patsubst %,tests/releases/test_%.py,last_call time) tests/chaos tests/story

releases-roles:
	$(PYTEST) $(ROLES)

releases-states:
	$(PYTEST) $(STATES)

releases-waits:
	$(PYTEST) $(WAITS)

releases-others:
	$(PYTEST) tests/local_aws tests/releases benches $(addprefix --ignore=,$(ROLES) $(STATES) $(WAITS))

chaos: tools emulators ## Make hundreds of releases with faults; SEED, RELEASES and ENVIRONMENTS can be set.
	@$(TOOLS)/python -m chaos $(if $(SEED),--seed $(SEED)) $(if $(RELEASES),--releases $(RELEASES)) \
		$(if $(ENVIRONMENTS),--environments $(ENVIRONMENTS))

bench: export PYTHONPATH := $(CURDIR):$(CURDIR)/tests/releases:$(PYTHONPATH)
bench: tools emulators ## Measure; PARTS=functions,releases,scale,build and SCALE=1,500 can be set.
	@$(TOOLS)/python -m benches $(if $(PARTS),--parts $(PARTS)) $(if $(SCALE),--scale $(SCALE))

# The functions and the emulators in one go, so that nothing is compiled twice with other features.
emulators:
	@cargo build --workspace --bins

tools:
	@$(PYTHON) local/setup
