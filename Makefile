# The everyday verbs. Each does the set-up that it needs, so each works on a fresh machine; `make help` lists them.

.DEFAULT_GOAL := help
.NOTPARALLEL:

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
URL ?= http://127.0.0.1:8080

# Every run of cargo below selects the whole workspace: features are then the same in all, and nothing is compiled twice.

.PHONY: help
help: ## List the verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 26

.PHONY: setup
setup: ## Install what is missing to build, run and test (on Debian with apt)
	@host/build/setup.sh build test

.PHONY: setup-build
setup-build:
	@host/build/setup.sh build

.PHONY: build
build: setup-build ## Build the host, the loader and the components
	cargo build --release --workspace --bins
	$(TARGET_DIR)/release/bulkhead build

# What tests and measurements run beside the shop.
.PHONY: guests
guests: build
	$(TARGET_DIR)/release/bulkhead build --manifest tests/guests/bulkhead.toml
	$(TARGET_DIR)/release/bulkhead build --manifest tests/guests/events.toml source sink
	$(TARGET_DIR)/release/bulkhead build --manifest tests/guests/changing.toml
	$(TARGET_DIR)/release/bulkhead build --manifest tests/versions/bulkhead.toml

.PHONY: run
run: build ## Start the host, and load the catalogue if it is empty
	@exec data/loader/run.sh $(TARGET_DIR) $(URL)

.PHONY: load
load: setup-build ## Load the catalogue into a running host: make load URL=http://127.0.0.1:8080
	cargo build --release --workspace --bins
	$(TARGET_DIR)/release/shop-loader --url $(URL)

.PHONY: test
test: setup guests ## Run all tests
	cargo test --quiet --release --workspace --doc
	cargo nextest run --release --workspace

.PHONY: test-kill
test-kill: setup guests ## Run each test that kills the host ten times; more often: make test-kill COUNT=100
	cargo nextest run --release --workspace -E 'test(/kill|crash/)' --stress-count $(or $(COUNT),10)

.PHONY: test-api
test-api: build ## Send generated requests to a shop of its own, and check the answers; one seed again: make test-api SEED=1
	@host/build/setup.sh api
	@python3 tests/api/run.py $(TARGET_DIR)

.PHONY: test-clients
test-clients: build ## Generate clients in seven ways, build each, and call a shop with it; some of them: make test-clients ARGS='go java'
	@host/build/setup.sh clients
	@python3 tests/clients/run.py $(TARGET_DIR) $(ARGS)

.PHONY: bench
bench: guests ## Measure against plain hyper and rusqlite servers
	$(TARGET_DIR)/release/bench

.PHONY: replay
replay: build ## Send two weeks of real purchases through a shop of its own; with faults: make replay CHAOS=1
	$(TARGET_DIR)/release/replay $(if $(CHAOS),--chaos) $(ARGS)

.PHONY: mutants
mutants: setup-build ## Put deliberate bugs into the services, and see that the component tests find each
	cargo build --release --workspace --bins
	$(TARGET_DIR)/release/mutants $(ARGS)

.PHONY: mutation
mutation: guests ## Change the code in one place after the other, and see that a test fails; some of it: make mutation ONLY=host/sqlite/src/writer
	@host/build/setup.sh mutation
	cargo run --quiet --release -p bulkhead-mutation -- --target $(TARGET_DIR) $(if $(ONLY),--only '$(ONLY)') $(if $(SECONDS),--seconds $(SECONDS))

.PHONY: lint
lint: fmt-check ## Check formatting, clippy, the links of the documentation, and the dependencies' licences and sources
	@host/build/setup.sh build lint
	cargo clippy --release --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --quiet --release --workspace --no-deps
	cargo deny --log-level error check bans licenses sources

.PHONY: doc
doc: ## Make the documentation of all crates, the SDK's and the test harness's among them
	cargo doc --release --workspace --no-deps

.PHONY: fmt
fmt: ## Format the code
	cargo fmt --all

.PHONY: fmt-check
fmt-check:
	cargo fmt --all --check

.PHONY: audit
audit: ## Check the dependencies against the database of known vulnerabilities (needs github.com)
	@host/build/setup.sh lint
	cargo deny check advisories

.PHONY: check-cargo-component
check-cargo-component: setup-build ## Prove that every component builds with cargo-component too
	@host/build/check-cargo-component.sh $(TARGET_DIR)

.PHONY: clean
clean: ## Remove all that was built
	cargo clean
