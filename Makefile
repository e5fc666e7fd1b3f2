# What one does here. `make` alone lists it; the work is in scripts/.

.DEFAULT_GOAL := help
.PHONY: help demo run test check bench deb screenshots

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## build, then start Steward with a simulated cluster; prints the address and a login (ARGS="--guests 1000")
	@scripts/demo $(ARGS)

run: ## build, then start Steward with its own data folder under target/run (ARGS="--listen 127.0.0.1:8443")
	@scripts/run $(ARGS)

test: ## install what the tests need, then run everything: checks, tests, browser, package
	@scripts/test $(PARTS)

check: ## format, clippy, licences and bans, docs
	@scripts/setup-tests deny
	@scripts/check

bench: ## measure the budget in release mode and print its rows
	@scripts/bench $(ARGS)

deb: ## build the Debian package into target/deb (release profile)
	@scripts/make-deb $(ARGS)

screenshots: ## pictures of the main pages into target/screenshots
	@scripts/screenshots $(ARGS)
