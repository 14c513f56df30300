# Plain `make` prints the targets. What they need beyond the prerequisites is installed by scripts/setup.sh.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/toolgate
MODULE_LIMIT := 4500000
# Every Envoy of the end-to-end tests is a process of its own; a few at a time keep the timings honest.
E2E_THREADS ?= 4
# Ports that Envoy Gateway binds on all interfaces, whatever it is told.
ENVOY_GATEWAY_PORTS := 8081 18000 18001 18002 19000 19001 19003

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## leave the filter in dist/toolgate.wasm and the command line tool in dist/toolgate
	@scripts/setup.sh build
	cargo build --locked --release -p toolgate-filter --target wasm32-wasip1
	cargo build --locked --release -p toolgate
	@scripts/dist.sh "$(TARGET_DIR)" $(MODULE_LIMIT)

.PHONY: image
image: build ## the filter as an OCI image layout in dist/image, for registries and meshes
	@scripts/image.py

.PHONY: demo
demo: build ## real MCP clients and servers with Envoy and a policy between them
	@scripts/setup.sh demo
	@rm -rf dist/demo
	@examples/demo/run.sh
	@examples/limits/run.sh
	@examples/outage/run.sh
	@examples/envoy-filters/run.sh
	@examples/report.sh

.PHONY: test
test: lint test-engine test-wasm test-e2e test-browser bench-smoke ## everything but the slow suites

.PHONY: fmt
fmt: ## format the code
	cargo fmt --all

.PHONY: lint
lint: ## formatting and clippy, warnings are errors
	@scripts/setup.sh build
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked -p toolgate-tests --test mesh -- -D warnings
	cargo clippy --locked -p toolgate-filter --target wasm32-wasip1 -- -D warnings

.PHONY: test-engine
test-engine: ## unit tests and case tables, natively
	cargo test --locked -p toolgate-engine -p toolgate-filter -p toolgate

.PHONY: test-wasm
test-wasm: ## the engine's tests on wasm32-unknown-unknown, under Node
	@scripts/setup.sh rust_targets wasm_bindgen
	@mkdir -p "$(TARGET_DIR)"
	CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=$(CACHE)/wasm-bindgen/bin/wasm-bindgen-test-runner \
	  cargo test --locked -p toolgate-engine --target wasm32-unknown-unknown --test engine | tee "$(TARGET_DIR)/test-wasm.log"
	@# The runner is content when it finds no test at all.
	@grep -Eq '^test result: ok\. [1-9]' "$(TARGET_DIR)/test-wasm.log" || { echo "no test ran" >&2; exit 1; }

.PHONY: test-e2e
test-e2e: build ## a real Envoy between real and scripted MCP clients and servers
	@scripts/setup.sh test
	cargo test --locked -p toolgate-tests -- --test-threads=$(E2E_THREADS)

.PHONY: test-browser
test-browser: build ## the report in a headless Chromium
	@scripts/setup.sh browser
	node --test tests/browser/report.test.mjs

.PHONY: mesh
mesh: image ## Istio and Envoy Gateway run what `toolgate render` prints for them
	@scripts/setup.sh test mesh
	OWN_NETWORK_PORTS="$(ENVOY_GATEWAY_PORTS)" cargo test --locked -p toolgate-tests --test mesh \
	  --config 'target."cfg(unix)".runner = ["$(CURDIR)/scripts/own-network.sh"]' -- --test-threads=2

.PHONY: bench
bench: build ## what a decision costs, and Envoy's CPU and memory for calls and their results
	@scripts/setup.sh test
	cargo bench --locked -p toolgate-engine
	cargo run --locked -p toolgate-tests --bin envoy-cpu
	cargo run --locked -p toolgate-tests --bin envoy-streams
	cargo run --locked -p toolgate-tests --bin log-lines

.PHONY: bench-smoke
bench-smoke: build ## each benchmark once, to see that it still runs
	@scripts/setup.sh test
	cargo test --locked -p toolgate-engine --benches
	cargo run --locked -p toolgate-tests --bin envoy-cpu -- --smoke
	cargo run --locked -p toolgate-tests --bin envoy-streams -- --smoke
	cargo run --locked -p toolgate-tests --bin log-lines -- --smoke

.PHONY: soak
soak: build ## limits under 100,000 calls each: admitted exactly the limit; 1,000 policies of 10,000 keys: quick, memory flat
	@scripts/setup.sh test
	TOOLGATE_CALLS=100000 cargo test --locked -p toolgate-tests --test e2e quotas::exact -- --test-threads=1 --nocapture
	TOOLGATE_RELOAD_MS=500 cargo test --locked -p toolgate-tests --test e2e reload::effect -- --test-threads=1 --nocapture
	TOOLGATE_RELOADS=1000 cargo test --locked -p toolgate-tests --test e2e reload::memory -- --nocapture

.PHONY: clean
clean: ## remove what was built; installed tools stay in the cache
	cargo clean
	rm -rf dist
