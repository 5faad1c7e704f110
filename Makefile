# What there is to make: `make help`.

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
VENV := $(TARGET)/venv
BENCH_VENV := $(TARGET)/bench-venv
BENCH_WS := benches/ws/node_modules
BROWSER := tests/browser/node_modules
PREFIX := /usr/local
LIBDIR := $(PREFIX)/lib
INCLUDEDIR := $(PREFIX)/include
SECONDS := 60
VERSION := $(shell sed -n '/^version = "\(.*\)"/{s//\1/p;q;}' Cargo.toml)
ABI := $(firstword $(subst ., ,$(VERSION)))

# The message of a panic says where its code was, but not on whose machine.
NO_PATHS := '--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src=registry', '--remap-path-prefix=$(CURDIR)=wsframe'

# Where the bindings find the library, and Python its binding.
export WSFRAME_LIBRARY := $(TARGET)/release/libwsframe.so
export PYTHONPATH := bindings/python/src
# What measures the C functions.
export BENCH_PROGRAM := $(TARGET)/bench/release/wsframe-bench

.PHONY: help
help: ## Say what there is to make.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 17

.PHONY: build
build: ## Build the library: target/release/libwsframe.so and .a.
	@cargo library --config "build.rustflags = [$(NO_PATHS)]"
	@packaging/own-symbols $(TARGET)/release/libwsframe.a
	@ln -sf libwsframe.so $(TARGET)/release/libwsframe.so.$(ABI)

.PHONY: run
run: build ## Serve the documents' two servers, in PHP; the address is printed.
	@.ci/install php
	@exec php examples/php/server.php

.PHONY: test
test: ## Run every test: some fifteen minutes on two cores. Downloads what `make tools` does and Cargo's crates, some 500 MB.
	@echo 'This takes some fifteen minutes on two cores. The first time it downloads up to 500 MB.'
	@$(MAKE) --no-print-directory lint test-rust test-python test-php test-examples test-autobahn test-browser
	@echo 'All tests have passed.'

.PHONY: check
check: ## Run in two minutes what goes wrong most often: lint, the tests in Rust and C, those of the bindings.
	@$(MAKE) --no-print-directory lint test-rust test-python test-php
	@echo 'All of these tests have passed. `make test` runs the others too.'

.PHONY: tools
tools: $(VENV)/installed $(BROWSER)/installed ## Install what the tests need: PHP, Chromium and the like, and packages in local folders.
	@.ci/install c++ chromium php phpunit systemd valgrind

.PHONY: env
env: ## Print the variables with which the bindings find this build, for a shell to evaluate.
	@echo 'export WSFRAME_LIBRARY=$(WSFRAME_LIBRARY) PYTHONPATH=$(abspath $(PYTHONPATH))'

.PHONY: lint
lint: tools ## Check how everything is written: rustfmt, clippy, rustdoc, ruff, mypy, php -l.
	cargo fmt --check
	cargo fmt --check --manifest-path benches/peers/Cargo.toml
	cargo fmt --check --manifest-path benches/load/Cargo.toml
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --all-targets --manifest-path benches/load/Cargo.toml --target-dir $(TARGET)/bench -- -D warnings
	$(VENV)/bin/ruff check bindings/python examples tests benches
	$(VENV)/bin/ruff format --check bindings/python examples tests benches
	$(VENV)/bin/mypy --strict bindings/python/src
	@find bindings examples benches -name '*.php' | while read file; do php -l $$file >/dev/null || exit 1; done

.PHONY: test-rust
test-rust: tools build ## Run the tests in Rust and in C, one or two minutes.
	cargo test --locked
	cargo test --locked --manifest-path benches/load/Cargo.toml --target-dir $(TARGET)/bench

.PHONY: test-python
test-python: tools build ## Run the Python binding's tests.
	$(VENV)/bin/pytest -q bindings/python

.PHONY: test-php
test-php: tools build ## Run the PHP binding's tests.
	phpunit -c bindings/php

.PHONY: test-examples
test-examples: tools build ## Run the example servers and clients among each other, other implementations and hostile peers.
	$(VENV)/bin/pytest -q tests/examples tests/differential

.PHONY: soak
soak: tools build ## Let clients of all kinds come and go at the example servers for SECONDS (60) each, and compare memory.
	SOAK_SECONDS=$(SECONDS) cargo test --locked --test hub_soak -- --nocapture
	SOAK_SECONDS=$(SECONDS) $(VENV)/bin/pytest -q -s tests/examples/test_soak.py

.PHONY: test-network
test-network: tools build ## Run a hub over a cable that loses, delays and is cut. Needs root, for network namespaces; not in `make test`.
	@[ "$$(id -u)" = 0 ] || { echo 'Network namespaces need root: sudo make test-network.' >&2; exit 1; }
	$(VENV)/bin/pytest -q tests/network

.PHONY: test-browser
test-browser: tools build ## Run the page in Chromium on the PHP and the Python server.
	SERVER_CMD="php examples/php/server.php" node --test tests/browser/browser.test.mjs
	SERVER_CMD="$(VENV)/bin/python examples/python/server.py" node --test tests/browser/browser.test.mjs

.PHONY: test-autobahn
test-autobahn: tools build ## Run Autobahn's cases against all examples, of the compressed ones a part.
	$(VENV)/bin/python tests/autobahn/run.py --quick

.PHONY: autobahn
autobahn: tools build ## Run all of Autobahn's cases against all examples, ten minutes; the report is in target/autobahn.
	$(VENV)/bin/python tests/autobahn/run.py

.PHONY: fuzz
fuzz: ## Fuzz each target for SECONDS (60), with nightly Rust and cargo-fuzz.
	fuzz/run $(SECONDS)

# Of the unit tests those that take seconds there. Miri does not know SIMD beyond what every CPU has, nor the page that
# tells a forked process from its parent, which a client's masking keys need.
MIRI_TESTS := shared:: pool:: ffi:: large::tests history:: close:: handshake:: offset_may_be copy_refuses \
	an_idle_connection_holds_no_buffer in_place_payloads pieces_are_delivered_as_they_come \
	an_application_that_asks the_output_has_a_high_water_mark many_messages_are_sent the_examples_of_the_rfc

.PHONY: miri
miri: ## Run unit tests under Miri, which sees undefined behaviour, with nightly Rust and its component miri.
	MIRIFLAGS=-Zmiri-disable-isolation cargo +nightly miri test --locked --lib --target-dir $(TARGET)/miri -- $(MIRI_TESTS)

CROSS := aarch64-unknown-linux-gnu i686-unknown-linux-gnu s390x-unknown-linux-gnu
OTHERS := x86_64-apple-darwin x86_64-unknown-freebsd x86_64-unknown-netbsd x86_64-pc-windows-gnu

.PHONY: cross
cross: ## Run the vectors and the tests of the exported functions on 64-bit ARM, 32-bit x86 and big-endian s390x, emulated.
	@.ci/install gcc-aarch64 gcc-i686 gcc-s390x qemu
	rustup target add $(CROSS)
	cargo test --locked --target-dir $(TARGET)/cross --test vectors --test exported \
		--config packaging/cross.toml $(CROSS:%=--target %)

.PHONY: check-others
check-others: ## Compile for macOS, FreeBSD, NetBSD and Windows, which has no hub; without TLS, whose C code wants their compilers.
	rustup target add $(OTHERS)
	RUSTFLAGS='-D warnings' cargo check --locked --no-default-features --lib --target-dir $(TARGET)/cross $(OTHERS:%=--target %)

.PHONY: bench
bench: $(BENCH_VENV)/installed $(BENCH_WS)/installed bench-program ## Measure beside the peers: the tables and plots of docs/performance.md.
	@.ci/install php
	$(BENCH_VENV)/bin/python benches/run.py bench

.PHONY: bench-server
bench-server: $(BENCH_VENV)/installed $(BENCH_WS)/installed bench-program ## Measure whole servers with 1 to 10,000 connections, a quarter of an hour: tables and a plot there.
	@.ci/install libwebsockets
	$(BENCH_VENV)/bin/python benches/run.py bench-server

.PHONY: bench-check
bench-check: bench-program ## Compare instruction counts with those of benches/results/instructions.json.
	python3 benches/instructions.py check

.PHONY: bench-record
bench-record: bench-program ## Record the instruction counts, when a change of them is meant.
	python3 benches/instructions.py record

.PHONY: bench-program
bench-program: build ## Build what measures the C functions, and the clients that load servers.
	@.ci/install c++ valgrind wslay
	cargo build --release --locked --manifest-path benches/peers/Cargo.toml --target-dir $(TARGET)/bench
	cargo build --release --locked --manifest-path benches/load/Cargo.toml --target-dir $(TARGET)/bench

.PHONY: header
header: ## Generate include/wsframe.h and the PHP binding's copy from src/ffi.
	WSFRAME_REWRITE_HEADER=1 cargo test --locked --test header

.PHONY: readme
readme: ## Put the programs of examples into README.md and those of the bindings.
	WSFRAME_REWRITE_README=1 cargo test --locked --test readme

.PHONY: install
install: ## Install library, header and wsframe.pc below PREFIX (/usr/local) or to LIBDIR, after `make build`.
	@test -f $(TARGET)/release/libwsframe.so || { echo 'Run `make build` first.' >&2; exit 1; }
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(INCLUDEDIR)
	install -m 755 $(TARGET)/release/libwsframe.so $(DESTDIR)$(LIBDIR)/libwsframe.so.$(VERSION)
	ln -sf libwsframe.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libwsframe.so.$(ABI)
	ln -sf libwsframe.so.$(ABI) $(DESTDIR)$(LIBDIR)/libwsframe.so
	install -m 644 $(TARGET)/release/libwsframe.a $(DESTDIR)$(LIBDIR)/
	install -m 644 include/wsframe.h $(DESTDIR)$(INCLUDEDIR)/
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR:$(PREFIX)/%=$${prefix}/%)|' -e 's|@VERSION@|$(VERSION)|' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR:$(PREFIX)/%=$${prefix}/%)|' packaging/wsframe.pc.in \
		>$(DESTDIR)$(LIBDIR)/pkgconfig/wsframe.pc
	@# The loader's cache is the system's, and root's.
	@if [ -z '$(DESTDIR)' ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

.PHONY: uninstall
uninstall: ## Remove what `make install` has installed, with the same settings.
	rm -f $(DESTDIR)$(LIBDIR)/libwsframe.so $(DESTDIR)$(LIBDIR)/libwsframe.so.$(ABI) \
		$(DESTDIR)$(LIBDIR)/libwsframe.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libwsframe.a \
		$(DESTDIR)$(LIBDIR)/pkgconfig/wsframe.pc $(DESTDIR)$(INCLUDEDIR)/wsframe.h

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
	@echo "Installing into $(BROWSER): axe-core playwright-core ws"
	@npm ci --prefix tests/browser --ignore-scripts --no-audit --no-fund --silent
	@touch $@
