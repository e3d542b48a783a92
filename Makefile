# Sallyport's commands. `make help` lists them.
SHELL := /bin/bash -o pipefail
GO    ?= go
export CGO_ENABLED ?= 0

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build out/sallyport
	$(GO) build -trimpath -o out/ ./cmd/...

.PHONY: demo
demo: build ## run a mutual-TLS edge, try every kind of client on it, print what happened
	out/sallyport demo --once

.PHONY: test
test: setup ## set up what the tests need, then run every one
	$(GO) test ./...

.PHONY: race
race: ## run every test under the race detector
	@.ci/setup race
	CGO_ENABLED=1 $(GO) test -race ./...

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, go mod tidy, generated files
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) test ./edge/config -run 'TestSchema'

.PHONY: generate
generate: ## write generated and golden files anew
	$(GO) test ./edge/config -run TestSchema -update

.PHONY: soak
soak: setup ## fuzz every parser for FUZZTIME (default 60s) each
	.ci/fuzz $(or $(FUZZTIME),60s)

.PHONY: bench
bench: ## run every benchmark of the code once
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-edge
bench-edge: build ## CPU per full handshake and per keep-alive request, beside Go's plain reverse proxy
	$(GO) run ./loadtest/bench-edge -sallyport out/sallyport -o out/bench/edge.json

.PHONY: setup
setup:
	@.ci/setup
