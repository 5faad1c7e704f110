# What there is to make: `make help`.

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
VENV := $(TARGET)/venv
BENCH_VENV := $(TARGET)/bench-venv
BENCH_WS := benches/ws/node_modules
BROWSER := tests/browser/node_modules
PREFIX := /usr/local
SECONDS := 60
VERSION := $(shell sed -n '/^version = "\(.*\)"/{s//\1/p;q;}' Cargo.toml)
ABI := $(firstword $(subst ., ,$(VERSION)))

# Where the bindings find the library, and Python its binding.
export WSFRAME_LIBRARY := $(TARGET)/release/libwsframe.so
export PYTHONPATH := bindings/python/src
# What measures the C functions.
export BENCH_PROGRAM := $(TARGET)/bench/release/wsframe-bench

.PHONY: help
help: ## Say what there is to make.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: build
build: ## Build the library: target/release/libwsframe.so and .a.
	@cargo library
	@ln -sf libwsframe.so $(TARGET)/release/libwsframe.so.$(ABI)

.PHONY: run
run: build ## Serve the documents' two servers, in PHP; the address is printed.
	@.ci/install php
	@exec php examples/php/server.php

.PHONY: test
test: tools lint test-rust test-python test-php test-examples test-autobahn test-browser ## Run every test.

.PHONY: tools
tools: $(VENV)/installed $(BROWSER)/installed
	@.ci/install c++ chromium php phpunit valgrind

.PHONY: lint
lint: tools
	cargo fmt --check
	cargo fmt --check --manifest-path benches/peers/Cargo.toml
	cargo clippy --locked --all-targets -- -D warnings
	$(VENV)/bin/ruff check bindings/python examples tests benches
	$(VENV)/bin/ruff format --check bindings/python examples tests benches
	$(VENV)/bin/mypy --strict bindings/python/src
	@find bindings examples benches -name '*.php' | while read file; do php -l $$file >/dev/null || exit 1; done

.PHONY: test-rust
test-rust: tools build
	cargo test --locked

.PHONY: test-python
test-python: tools build
	$(VENV)/bin/pytest -q bindings/python

.PHONY: test-php
test-php: tools build
	phpunit -c bindings/php

.PHONY: test-examples
test-examples: tools build
	$(VENV)/bin/pytest -q tests/examples tests/differential

.PHONY: test-browser
test-browser: tools build
	SERVER_CMD="php examples/php/server.php" node --test tests/browser/browser.test.mjs
	SERVER_CMD="$(VENV)/bin/python examples/python/server.py" node --test tests/browser/browser.test.mjs

.PHONY: test-autobahn
test-autobahn: tools build
	$(VENV)/bin/python tests/autobahn/run.py --quick

.PHONY: autobahn
autobahn: tools build ## Run all of Autobahn's cases against all examples, ten minutes; the report is in target/autobahn.
	$(VENV)/bin/python tests/autobahn/run.py

.PHONY: fuzz
fuzz: ## Fuzz each target for SECONDS (60), with nightly Rust and cargo-fuzz.
	fuzz/run $(SECONDS)

.PHONY: bench
bench: $(BENCH_VENV)/installed $(BENCH_WS)/installed bench-program ## Measure beside the peers: the tables and plots of docs/performance.md.
	@.ci/install php
	$(BENCH_VENV)/bin/python benches/run.py

.PHONY: bench-check
bench-check: bench-program ## Compare instruction counts with those of benches/results/instructions.json.
	python3 benches/instructions.py check

.PHONY: bench-record
bench-record: bench-program ## Record the instruction counts, when a change of them is meant.
	python3 benches/instructions.py record

.PHONY: bench-program
bench-program: build
	@.ci/install c++ valgrind wslay
	cargo build --release --locked --manifest-path benches/peers/Cargo.toml --target-dir $(TARGET)/bench

.PHONY: header
header: ## Generate include/wsframe.h and the PHP binding's copy from src/ffi.
	WSFRAME_REWRITE_HEADER=1 cargo test --locked --test header

.PHONY: readme
readme: ## Put the programs of examples/*/hello.* into README.md.
	WSFRAME_REWRITE_README=1 cargo test --locked --test readme

.PHONY: install
install: ## Install library, header and wsframe.pc below PREFIX (/usr/local), after `make build`.
	@test -f $(TARGET)/release/libwsframe.so || { echo 'Run `make build` first.' >&2; exit 1; }
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include
	install -m 755 $(TARGET)/release/libwsframe.so $(DESTDIR)$(PREFIX)/lib/libwsframe.so.$(VERSION)
	ln -sf libwsframe.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libwsframe.so.$(ABI)
	ln -sf libwsframe.so.$(ABI) $(DESTDIR)$(PREFIX)/lib/libwsframe.so
	install -m 644 $(TARGET)/release/libwsframe.a $(DESTDIR)$(PREFIX)/lib/
	install -m 644 include/wsframe.h $(DESTDIR)$(PREFIX)/include/
	printf '%s\n' 'Name: wsframe' 'Description: WebSocket for every language with a C FFI' 'Version: $(VERSION)' \
		'Libs: -L$(PREFIX)/lib -lwsframe' 'Libs.private: -lpthread -ldl -lm -lrt' 'Cflags: -I$(PREFIX)/include' \
		>$(DESTDIR)$(PREFIX)/lib/pkgconfig/wsframe.pc
	$(if $(DESTDIR),,-ldconfig)

.PHONY: clean
clean: ## Remove all that was built or installed into local folders.
	cargo clean
	rm -rf $(BROWSER) $(BENCH_WS) bindings/python/build bindings/python/src/*.egg-info fuzz/target
	find . -name __pycache__ -o -name '.*_cache' -o -name .hypothesis | xargs rm -rf

$(VENV)/installed: bindings/python/requirements-dev.txt
	@.ci/install venv
	@echo "Installing into $(notdir $(TARGET))/venv: $$(grep -o '^[a-z].*' $< | xargs)"
	@python3 -m venv $(VENV)
	@$(VENV)/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@

$(BENCH_VENV)/installed: benches/requirements.txt
	@.ci/install venv
	@echo "Installing into $(notdir $(TARGET))/bench-venv: $$(grep -o '^[a-z].*' $< | xargs)"
	@python3 -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@

$(BENCH_WS)/installed: benches/ws/package-lock.json
	@.ci/install node
	@echo "Installing into $(BENCH_WS): ws"
	@npm ci --prefix benches/ws --ignore-scripts --no-audit --no-fund --silent
	@touch $@

$(BROWSER)/installed: tests/browser/package-lock.json
	@.ci/install node
	@echo "Installing into $(BROWSER): playwright-core"
	@npm ci --prefix tests/browser --ignore-scripts --no-audit --no-fund --silent
	@touch $@
