# `make demo` and `make test` set up what they need under .local/ and target/.

PYTHON ?= python3
TOOLS := .local/tools/bin
EXAMPLE := examples/bookings-api/Cargo.toml
# What the local AWS and its tests import.
export PYTHONPATH := $(CURDIR)/local:$(CURDIR)/tests
export PYTHONDONTWRITEBYTECODE := 1
export SAM_CLI_TELEMETRY := 0

.PHONY: help setup demo test unit releases releases-roles releases-states releases-waits releases-others chaos fuzz-order bench simulate golden jsonata picture \
	lint package emulators for-demo for-test for-lint for-package for-bench

help: ## Say what there is to make.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: ## Install into a local AWS, and show releases live. KEEP=1 keeps it, SHORT=1 needs no database or builder.
	@$(PYTHON) local/setup demo --check
	@$(MAKE) --no-print-directory --jobs=2 for-demo emulators
	@$(TOOLS)/python -m demo $(if $(KEEP),--keep) $(if $(SHORT),--short)

setup: ## Install what the full story needs, with this machine's package manager.
	@$(PYTHON) local/setup setup
	@$(TOOLS)/python -m cloud.machine --install

package: for-package ## Build what `sam deploy` installs without Rust, into dist/. ARCHITECTURE=arm64 for that one only.
	@$(TOOLS)/python -m cloud.package $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE))

test: lint unit releases ## Run every check and every test.

lint: for-lint ## Check format, lints, template, workflows, pins and dependencies.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features shared/planetscale -- -D warnings
	cargo fmt --manifest-path $(EXAMPLE) --check
	cargo clippy --manifest-path $(EXAMPLE) --target-dir target/example --all-targets -- -D warnings
	AWS_DEFAULT_REGION=us-east-1 $(TOOLS)/sam validate --lint
	$(TOOLS)/cfn-lint --region us-east-1 --template template.yaml
	.local/checkov/bin/checkov --config-file .checkov.yaml
	.local/workflows/bin/zizmor --offline --persona pedantic --quiet .github
	.local/python/bin/ruff check .
	.local/python/bin/ruff format --check .
	.local/python/bin/mypy
	$(TOOLS)/python local/pins.py --check
	$(TOOLS)/python local/dependencies.py

unit: for-test ## Run the tests of the decisions, of the two emulators and of the example.
	cargo test --workspace --exclude simulation --features shared/planetscale
	cargo test -p simulation
	$(TOOLS)/python -m cloud.mariadb cargo test --workspace --exclude simulation --features shared/planetscale --test api --test order -- --ignored
	cargo test --manifest-path $(EXAMPLE) --target-dir target/example
	$(TOOLS)/python -m cloud.mariadb cargo test --manifest-path $(EXAMPLE) --target-dir target/example -- --ignored

releases: for-test emulators ## Run the tests of the local AWS, and whole releases on it, in four local AWSs at a time.
	@$(MAKE) --no-print-directory --jobs=4 --output-sync=line releases-roles releases-states releases-waits releases-others

PYTEST := $(TOOLS)/python -m pytest

# The last of them compares the roles with what the others called.
ROLES := $(patsubst %,tests/releases/test_%.py,buildspec events outcomes permissions preflight redrive verification unused_permissions)
STATES := $(patsubst %,tests/releases/test_%.py,function_faults races service_states states)
# They wait more than they work.
WAITS := $(patsubst %,tests/releases/test_%.py,last_call outages time) tests/chaos tests/story

releases-roles:
	$(PYTEST) $(ROLES)

releases-states:
	$(PYTEST) $(STATES)

releases-waits:
	$(PYTEST) $(WAITS)

releases-others:
	$(PYTEST) tests/setup tests/local_aws tests/releases benches $(addprefix --ignore=,$(ROLES) $(STATES) $(WAITS))

pins: for-lint ## Ask pip whether every pin installs on every Python that the README names; takes minutes.
	@$(TOOLS)/python local/pins.py

picture: for-test ## Draw docs/release.svg, the picture of the state machine; HISTORY=FILE draws an execution's way.
	@$(TOOLS)/python -m picture $(HISTORY)

chaos: for-test emulators ## Make hundreds of releases with faults; SEED, RELEASES and ENVIRONMENTS can be set.
	@$(TOOLS)/python -m chaos $(if $(SEED),--seed $(SEED)) $(if $(RELEASES),--releases $(RELEASES)) \
		$(if $(ENVIRONMENTS),--environments $(ENVIRONMENTS))

fuzz-order: for-test ## Judge thousands of random schema changes against MariaDB; ORDER_SEED and ORDER_CASES can be set.
	ORDER_SEED=$(or $(ORDER_SEED),$(shell date +%s)) ORDER_CASES=$(or $(ORDER_CASES),5000) $(TOOLS)/python -m cloud.mariadb \
		cargo test --workspace --exclude simulation --features shared/planetscale --test order -- --ignored --nocapture generator

simulate: ## Make releases with faults in one process, on virtual time, until a promise is broken; SEED and RELEASES can be set.
	cargo run --quiet --profile simulation -p simulation -- $(if $(SEED),--seed $(SEED)) $(if $(RELEASES),--releases $(RELEASES))

golden: ## Write the golden run of each outcome, tests/golden, and draw what the documents show of them.
	cargo run --quiet -p simulation -- --golden
	@$(MAKE) --no-print-directory picture

# The reference implementation of JSONata, by which the simulation's is judged.
jsonata:
	npm install --silent --no-audit --no-fund --prefix .local/jsonata jsonata@2.2.2
	cargo run --quiet -p simulation -- --expressions > .local/jsonata/cases.json
	node tests/simulation/jsonata.mjs .local/jsonata/cases.json tests/simulation/tests/jsonata.json

bench: export PYTHONPATH := $(CURDIR):$(CURDIR)/tests/releases:$(PYTHONPATH)
bench: for-bench emulators ## Measure; PARTS=functions,releases,scale,build and SCALE=1,500 can be set.
	@$(TOOLS)/python -m benches $(if $(PARTS),--parts $(PARTS)) $(if $(SCALE),--scale $(SCALE))

# The functions and the emulators in one go, so that nothing is compiled twice with other features.
emulators:
	@$(PYTHON) local/progress.py 'Compiling the functions and the emulators' cargo build --workspace --exclude simulation --bins

# What a target needs under .local/, and no more.
for-demo for-test for-lint for-package for-bench:
	@$(PYTHON) local/setup $(@:for-%=%)
