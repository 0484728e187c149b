SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
.DEFAULT_GOAL := help

# FUZZTIME is for each fuzzer, TIMEOUT for the tests of each package.
FUZZTIME ?= 20s
TIMEOUT  ?= 12m
GOLANGCI ?= v2.12.2
# The examples with dependencies of their own are modules of their own, which ./... leaves out; go.work has them.
PACKAGES  = ./... ./examples/prometheus/... ./examples/sqlite/...
TESTS     = go test -json -timeout $(TIMEOUT)
SUMMARY   = go run ./test/summary
RMQ       = go run ./internal/testcluster/cmd/rmq

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: need-java ## vet, then every test with the race detector, on a real RocketMQ (needs Java and Maven)
	go vet $(PACKAGES)
	ROCKETKIT_REAL=1 $(TESTS) -race -count=1 $(PACKAGES) | $(SUMMARY)

.PHONY: test-versions
test-versions: need-java ## the conformance suite on RocketMQ 5.3.3 and 4.9.7
	@failed=0; for version in 5.3.3 4.9.7; do \
		echo "RocketMQ $$version"; \
		ROCKETKIT_REAL=1 ROCKETKIT_ROCKETMQ_VERSION=$$version $(TESTS) -race -count=1 -run '/real' ./test/conformance | $(SUMMARY) || failed=1; \
	done; exit $$failed

.PHONY: test-short
test-short: ## what needs no Java, and what it skipped
	$(TESTS) $(PACKAGES) | $(SUMMARY)

.PHONY: race
race: ## what needs no Java, with the race detector
	$(TESTS) -race $(PACKAGES) | $(SUMMARY)

.PHONY: storm
storm: need-java ## 50 consumers started and stopped 200 times under load: what is left of them
	ROCKETKIT_REAL=1 ROCKETKIT_STORM=1 go test -v -count=1 -timeout 30m -run /real ./test/storm

.PHONY: lint
lint: ## golangci-lint, with the settings in .golangci.yml
	@# a cache of its own: a shared one reports another checkout's paths, which the exclusions don't match
	GOLANGCI_LINT_CACHE=$(CURDIR)/bin/lint go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI) run $(PACKAGES)

.PHONY: fuzz
fuzz: ## every fuzzer for FUZZTIME (20s)
	@grep -rhoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . >/dev/null || { echo "there are no fuzzers"; exit 1; }
	@grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed -E 's|/[^/]*:func | |' | sort | while read -r package fuzzer; do \
		echo "$$package $$fuzzer"; \
		go test -run '^$$' -fuzz "^$$fuzzer\$$" -fuzztime $(FUZZTIME) "$$package"; \
	done

.PHONY: chaos
chaos: need-java ## restarts, kills and failures: what is lost, repeated and late, beside client-go and Java (an hour; CHAOS=-short: 25 min)
	go build -o bin/chaos ./test/chaos
	bin/chaos $(CHAOS)

.PHONY: cover
cover: ## what the tests of test-short cover, package by package
	go test -coverprofile=cover.out -coverpkg=./... ./... >/dev/null
	@go tool cover -func=cover.out | tail -n 1
	@echo "line by line: go tool cover -html=cover.out"

.PHONY: bench
bench: need-java ## rocketkit beside client-go, Java and bare loops on a real RocketMQ, some ten minutes (BENCH='-run consume')
	@go run ./test/bench $(BENCH)

.PHONY: up
up: need-java ## start a RocketMQ on this machine and print the variables to export
	@$(RMQ) up

.PHONY: down
down: ## stop what up has started
	@$(RMQ) down

.PHONY: demo
demo: ## two tenants, one program, the same topic names, a pool resized; in-process, REAL=1 on a real RocketMQ, or NAMESRV=host:port
	@NAMESRV='$(NAMESRV)' REAL='$(REAL)' go run ./examples/demo

.PHONY: fmt
fmt: ## format the code
	gofmt -s -w .

.PHONY: clean
clean: ## remove what the other targets have written (a cluster that is up stays: make down)
	rm -rf bin cover.out
	find . -name '*.test' -type f -delete
	find . -name '*.prof' -type f -delete

.PHONY: need-java
need-java:
	@command -v java >/dev/null && command -v mvn >/dev/null || { echo "this starts a real RocketMQ: install a JDK (17, say) and Maven; make test-short and make demo need neither"; exit 1; }
