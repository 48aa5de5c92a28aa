# `make help` lists the targets. The build needs Go 1.26 and nothing else; what the
# other targets need they install or name.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The version that the binaries report. Vault compares it with the registered one and
# accepts only semantic versions, hence the fallback outside a tagged history.
VERSION ?= $(shell git describe --tags --match 'v[0-9]*' --dirty 2>/dev/null || echo v0.1.0-dev)
FUZZTIME ?= 10s
BENCHTIME ?= 1s
TIMEOUT ?= 75m
CHAOS_CALLS ?= 2000
CHAOS_CLIENTS ?= 32
CHAOS_SEED ?=
SEEDS ?= 1-1000
FLEET ?= 50
STORED ?= 100000
TIDIED ?= 50000
CAMPAIGN ?= 2000
PKGS ?= ./...

GO_BUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false \
	-ldflags '-s -w -X github.com/certinext/vault-plugin-secrets-certinext.Version=$(VERSION) -X main.version=$(VERSION)'
# One processor a test program: the race detector of Go 1.26 crashes where two
# goroutines of a synctest bubble run its timers at once (golang/go#78156). It finds
# races by what happens before what, so it needs no second one.
RACE := -race -cpu 1

LINT := build/tools/bin/golangci-lint
SCRIPTS = $(wildcard scripts/*.sh .ci/run)

# SIZES: the stories whose point is a number of rows, orders, settings, years or writes. They run
# without the race detector; stories/size_test.go holds them to the pattern.
SIZES = LongReport|ManyOrders|Thousand|EachWrite|AfterAFault|FaultOfStorage|StorageRefuses|WithAFault|Anywhere|OfEverything|EverySetting|Fleet|HoweverMany|DoesNotGrow|EverLessOften|NoLimit|TakesACertificateOver|FormerRequester

# packages_with PATTERN: the packages whose test files have a line that matches
packages_with = grep -rlE --include='*_test.go' --exclude-dir=build --exclude-dir=tools '$(1)' . | xargs -rn1 dirname | sort -u

.PHONY: help build test openbao race chaos crash simulate fleet campaign stored tidied mutants lint vuln fmt fuzz docs readiness bench benchmarks load demo dev sandbox release clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo '  Variables: VERSION=$(VERSION) FUZZTIME=$(FUZZTIME) BENCHTIME=$(BENCHTIME) TIMEOUT=$(TIMEOUT) PKGS=$(PKGS)'
	@echo '             VAULT_BIN=path of the Vault server to test with; BAO_BIN=path of OpenBao for openbao, demo and dev; ARGS=arguments of demo, dev, sandbox, bench and mutants'

build: ## both programs into build/: the plugin and the CA simulator certinext-sandbox
	@for name in vault-plugin-secrets-certinext certinext-sandbox; do \
		$(GO_BUILD) -o build/$$name ./cmd/$$name; \
		echo "build/$$name $(VERSION)"; \
	done

test: build ## the whole suite with the race detector, against a real Vault, the vendor's API collection, and the README's commands
	@unset BAO_BIN; VAULT_BIN=$$(scripts/vault-binary.sh); export VAULT_BIN; \
	failed=0; \
	scripts/postman.sh || failed=1; \
	scripts/readme.sh || failed=1; \
	go test -timeout $(TIMEOUT) ./simulation || failed=1; \
	go test -timeout $(TIMEOUT) -run '$(SIZES)' ./stories || failed=1; \
	go test $(RACE) -timeout $(TIMEOUT) $(PKGS) || failed=1; \
	[ $$failed -eq 0 ] || { echo 'make test: something failed, see above' >&2; exit 1; }

openbao: build ## the stories against a real OpenBao server, BAO_BIN or the bao on the PATH; make test runs them against Vault
	@BAO_BIN=$$(scripts/bao-binary.sh); export BAO_BIN; \
	go test -count=1 -timeout $(TIMEOUT) ./e2e/

race: ## the quick loop: every package but e2e and bench with the race detector, no Vault needed
	@go test -timeout $(TIMEOUT) -run '$(SIZES)' ./stories
	@go test $(RACE) -timeout $(TIMEOUT) $$(go list ./... | grep -vE '/(e2e|bench)$$')

chaos: ## CHAOS_CALLS calls of CHAOS_CLIENTS clients while CA, plugin and Vault fail, then the books compared; CHAOS_SEED repeats a run
	@VAULT_BIN=$$(scripts/vault-binary.sh); export VAULT_BIN; \
	CHAOS_CALLS=$(CHAOS_CALLS) CHAOS_CLIENTS=$(CHAOS_CLIENTS) CHAOS_SEED=$(CHAOS_SEED) \
		go test -race -count=1 -v -timeout $(TIMEOUT) -run '^TestChaos' ./e2e/

crash: ## every flow killed at every place of its journal, in every manner; the suite leaves some out
	@VAULT_BIN=$$(scripts/vault-binary.sh); export VAULT_BIN; \
	CRASH_FLOWS=$${CRASH_FLOWS:-all} go test -count=1 -v -timeout $(TIMEOUT) -run '^TestACrashAnywhere' ./e2e/

simulate: ## SEEDS of the simulation, such as 1-1000, on all cores; what breaks a promise is told with its shortest history
	@SIM_RANGE=$(SEEDS) go test -count=1 -v -timeout 24h -run '^TestSimulate$$' ./simulation/

stored: ## storage operations counted with 100 and with STORED certificates stored, which may not be more than a fifth apart
	@STORED=$(STORED) go test -count=1 -v -timeout $(TIMEOUT) -run '^TestWorkDoesNotGrowWithWhatIsStored$$' ./stories/

tidied: ## TIDIED certificates, and as many orders, tidied while clients issue: memory, computing time and storage operations are printed
	@TIDIED=$(TIDIED) go test -count=1 -v -timeout $(TIMEOUT) -run '^TestThousandsAreTidiedWhileClientsIssue$$' ./stories/

fleet: ## FLEET agents that keep a certificate each for three years, undisturbed, disturbed and with failovers, by each way of renewal: what is bought is printed
	FLEET=$(FLEET) go test -count=1 -v -timeout 2h -run '^TestAFleetBuysTheLeastThatItsRoleAllows$$' ./stories

campaign: ## CAMPAIGN certificates on each bad day of a CA, with a kill and a failover in the middle: found, replaced, bought, simulated time and who was without are printed
	CAMPAIGN=$(CAMPAIGN) go test -count=1 -v -timeout 2h -run '^TestAFleetGetsOverABadDay$$' ./stories

mutants: ## the simulation measured: some seventy changes that break a promise, each played until one of 500 histories notices
	@go run ./simulation/mutants $(ARGS)

lint: ## golangci-lint, gofumpt, vet, shellcheck, and whether go.mod and go.sum are tidy and unaltered
	@command -v shellcheck >/dev/null || { echo 'shellcheck is missing: apt-get install shellcheck, or brew install shellcheck' >&2; exit 1; }
	@scripts/tools.sh golangci-lint
	$(LINT) fmt --diff
	$(LINT) run ./...
	go vet ./...
	shellcheck -x $(SCRIPTS)
	go mod verify
	go mod tidy -diff

vuln: ## govulncheck on what the programs really call
	@scripts/tools.sh govulncheck
	@if build/tools/bin/govulncheck -version | grep -q '^DB updated'; then \
		build/tools/bin/govulncheck ./...; \
	else \
		echo 'make vuln: NOT CHECKED, the vulnerability database cannot be reached from here (GOVULNDB names a mirror)'; \
	fi

fmt: ## format the Go files
	@scripts/tools.sh golangci-lint
	$(LINT) fmt

fuzz: ## every fuzz target for FUZZTIME
	@found=0; \
	for dir in $$($(call packages_with,^func Fuzz)); do \
		targets=$$(go test -list '^Fuzz' $$dir | grep '^Fuzz'); \
		for target in $$targets; do \
			echo "== $$target in $$dir, $(FUZZTIME)"; found=$$((found + 1)); \
			go test -run '^$$' -fuzzminimizetime 1s -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir; \
		done; \
	done; \
	echo "$$found fuzz targets ran"

docs: ## docs/api.md, docs/mistakes.md, docs/openapi, docs/sandbox.schema.json and the tables of docs/sandbox.md, written anew from what the programs say
	@go test -count=1 -run '^TestTheReferenceOfPathsIsUpToDate$$|^TestThePageOfMistakesIsUpToDate$$' ./stories -update
	@go test -count=1 -run '^TestTheOpenAPIDocumentsAreUpToDate$$|^TestThePageOfTheSimulatorIsUpToDate$$' ./certinext/certinexttest -update
	@go run ./cmd/certinext-sandbox -config-schema > docs/sandbox.schema.json

readiness: ## config/check, held to every setting of config and roles: one of seven is in the suite
	@go test -count=1 -v -run '^TestConfigCheckSaysForEverySettingWhetherOrdersArePlaced$$' ./stories -every-setting

bench: build ## this engine beside Vault's own PKI engine in one server, into docs/performance.md; build/bench.txt is for benchstat
	@go run ./bench -vault "$$(scripts/vault-binary.sh)" -out docs -raw build/bench.txt $(ARGS)

benchmarks: ## every Go benchmark for BENCHTIME
	@dirs=$$($(call packages_with,^func Benchmark) || true); \
	[ -n "$$dirs" ] || { echo 'no benchmarks'; exit 0; }; \
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -timeout $(TIMEOUT) $$dirs

load: ## the simulator alone: what a call costs among a hundred and among ten thousand open orders, and what they take
	@go test -count=1 -v -run '^TestTenThousandOpenOrdersFit$$' ./certinext/certinexttest
	@go test -run '^$$' -bench 'Among|OfTenThousand' -benchmem -benchtime $(BENCHTIME) ./certinext/certinexttest

demo: build ## the engine at work: Vault, plugin and simulated CA on this machine, step by step
	@scripts/demo.sh $(ARGS)

dev: build ## a Vault dev server with the plugin mounted and the simulated CA beside it, until Ctrl-C
	@scripts/dev.sh $(ARGS)

sandbox: build ## the CA simulator alone, until Ctrl-C
	@build/certinext-sandbox $(ARGS)

release: ## archives for each platform with checksums under build/release, the same bytes from the same commit
	@VERSION='$(VERSION)' scripts/release.sh

clean: ## remove build/; the Vault server and tools built for it stay in the user's cache folder
	rm -rf build
