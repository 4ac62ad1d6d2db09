# What a developer needs; `make help` lists it.
CARGO ?= cargo
DAEMONS = nginx=nginx-light sshd=openssh-server ssh=openssh-client
# The end-to-end tests wait more than they compute.
export RUST_TEST_THREADS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) * 2)))
DEBUG = $(or $(CARGO_TARGET_DIR),target)/debug

.PHONY: help build install test check fmt clippy deny shellcheck soak bench demo playground recording captures deb debtest static

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

build: ## Build everything, tests too
	$(CARGO) build --workspace --all-targets --locked

install: ## Install the two names of the program, bg and bluegreen, into ~/.cargo/bin
	$(CARGO) install --locked --path .

test: build ## Every test; the end-to-end ones start sshd and nginx on loopback
	@CARGO="$(CARGO)" sh scripts/test.sh

check: fmt clippy shellcheck ## Before a commit: formatting, lints, and the quick tests
	$(CARGO) test --workspace --locked --lib

fmt: ## Formatting
	$(CARGO) fmt --all --check

clippy: ## Lints
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

deny: ## Bans, licenses and sources of all dependencies
	$(CARGO) deny check bans licenses sources

shellcheck: ## The scripts, those that run on hosts among them
	sh scripts/shellcheck.sh

soak: ## Every proof in its large size, over an hour (SOAK_SECONDS, BG_SEED); prints a summary
	@sh scripts/install-missing.sh $(DAEMONS) strace=strace etcd=etcd-server \
		ip=iproute2 iptables=iptables faketime=faketime openssl=openssl at=at
	@CARGO="$(CARGO)" sh scripts/soak.sh

bench: ## How fast it is, against other tools too; 15 minutes, and nothing else may run; writes docs/benchmarks.md
	@sh scripts/install-missing.sh $(DAEMONS) wrk=wrk ansible=ansible parallel-ssh=pssh clush=clustershell cap=capistrano \
		git=git zstd=zstd
	$(CARGO) build --release --workspace --bins --locked
	target/release/bg-playground bench --document docs/benchmarks.md

demo: ## The whole journey under load, narrated
	@sh scripts/install-missing.sh $(DAEMONS)
	$(CARGO) build --workspace --bins --locked
	$(DEBUG)/bg-playground demo

playground: ## A site to try by hand, under load, until Ctrl-C
	@sh scripts/install-missing.sh $(DAEMONS)
	$(CARGO) build --workspace --bins --locked
	$(DEBUG)/bg-playground up

recording: ## Records docs/demo.svg: real commands on a playground, in a terminal of 80×24
	@sh scripts/install-missing.sh $(DAEMONS)
	$(CARGO) build --workspace --bins --locked
	$(DEBUG)/bg-playground record docs/demo.svg

captures: ## Captures the panes of docs/terminal.md: real commands on playgrounds, in tmux at 80×24 and 200×50
	@sh scripts/install-missing.sh $(DAEMONS) tmux=tmux
	$(CARGO) build --workspace --bins --locked
	$(DEBUG)/bg-playground capture docs/terminal.md

deb: ## A Debian package of the release build, in target/debian
	$(CARGO) build --release --locked --bin bluegreen
	@CARGO="$(CARGO)" sh scripts/deb.sh $(or $(CARGO_TARGET_DIR),target)/release/bluegreen

debtest: ## A package of the debug build, installed into an empty root by dpkg, tried there and removed (as root)
	$(CARGO) build --locked --bin bluegreen
	@CARGO="$(CARGO)" sh scripts/deb.sh $(DEBUG)/bluegreen --fast
	@sh scripts/deb-test.sh

MUSL = $(shell uname -m)-unknown-linux-musl
static: ## A build without shared libraries, for any Linux, in target/$(uname -m)-unknown-linux-musl/release
	@sh scripts/install-missing.sh musl-gcc=musl-tools
	rustup target add $(MUSL)
	$(CARGO) build --release --locked --target $(MUSL) --bin bluegreen --bin bg
