# Sallyport's commands. `make help` lists them.
SHELL := /bin/bash -o pipefail
GO    ?= go
export CGO_ENABLED ?= 0

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build out/sallyport, and the plugin out/cert-policy
	$(GO) build -trimpath -o out/ ./cmd/... ./plugins/cert-policy

.PHONY: demo
demo: build ## run a mutual-TLS edge, try every kind of client on it, print what happened
	out/sallyport demo --once

.PHONY: test
test: setup ## set up what the tests need, then run every one
	$(GO) test ./...

.PHONY: race
race: ## run the edge's and the libraries' tests under the race detector, but the longest (make soak runs all)
	@.ci/setup race
	CGO_ENABLED=1 $(GO) test -race -short ./bpf ./edge/... ./loadtest ./revocation/... ./sdk/...

.PHONY: lint
lint: ## gofmt, go vet, staticcheck, go mod tidy, generated files
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt -w these:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	$(GO) mod tidy -diff
	$(GO) test ./edge/config -run 'TestSchema'

.PHONY: generate
generate: ## write generated and golden files anew
	@.ci/setup generate
	$(GO) generate ./bpf
	$(GO) test ./edge/config -run TestSchema -update
	$(GO) test ./edge -run TestMetricsPage -update

# What the edge forwards is fuzzed for SOAK_DIFFERENTIAL instead, 1h say.
.PHONY: soak
soak: setup ## every test under the race detector; fuzz every parser for FUZZTIME (default 60s) each; provision a bare Debian
	@.ci/setup race
	@.ci/setup soak
	CGO_ENABLED=1 SALLYPORT_SOAK=1 $(GO) test -race -timeout 60m ./...
	.ci/fuzz $(or $(FUZZTIME),60s) $(SOAK_DIFFERENTIAL)
	.ci/provision

.PHONY: bench-plugins
bench-plugins: build ## a plugin's verdict on each request, beside gRPC, nginx auth_request, HAProxy SPOE (QUICK=1)
	@.ci/setup bench
	$(GO) run ./loadtest/bench-plugins -sallyport out/sallyport $(if $(QUICK),-quick) -o out/bench/plugins.json

.PHONY: bench-logs
bench-logs: build ## what logs, metrics and tracing add to a request through the edge (QUICK=1)
	$(GO) run ./loadtest/bench-logs -sallyport out/sallyport $(if $(QUICK),-quick) -o out/bench/logs.json

.PHONY: vmtest
vmtest: ## run the kernel's tests on Debian's stock kernel, in QEMU
	@.ci/setup vm
	.ci/vm/run

.PHONY: bench
bench: ## run every benchmark of the code once
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-edge
bench-edge: build ## Sallyport beside nginx, HAProxy, Caddy and plain Go (QUICK=1: under two minutes)
	@.ci/setup bench
	out/sallyload peers --sallyport out/sallyport $(if $(QUICK),--quick) -o out/bench/edge.json

.PHONY: pgo
pgo: build ## profile Sallyport under the load of bench-edge, for the compiler to build it by (some minutes)
	rm -rf out/pgo
	out/sallyload peers --sallyport out/sallyport --peers none --rounds 1 --profiles out/pgo \
		--scenario "full handshake, returning client" --scenario "full handshake, new client" \
		--scenario "resumed handshake" --scenario "refused, revoked" \
		--scenario "keep-alive HTTP/1.1 request" --scenario "HTTP/2 request" --scenario gigabyte
	$(GO) tool pprof -proto out/pgo/*.pprof >out/pgo/merged
	@# Without this folder's name, which is nobody's business.
	gunzip <out/pgo/merged | perl -pe 's{\Q$(CURDIR)\E(?=/out/sallyport)}{"/" x length $$&}ge' | gzip -n9 >cmd/sallyport/default.pgo

.PHONY: bench-revocation
bench-revocation: build ## CRLs of up to 10 million entries beside OpenSSL, crypto/x509 and nginx (QUICK=1: 1 million)
	@.ci/setup bench
	$(GO) run ./loadtest/bench-revocation -sallyport out/sallyport $(if $(QUICK),-quick) -o out/bench/revocation.json

.PHONY: bench-kernel
bench-kernel: build ## bans in XDP beside nftables, and a good client in a flood (as root; QUICK=1)
	@.ci/setup bench
	$(GO) run ./loadtest/bench-kernel -sallyport out/sallyport $(if $(QUICK),-quick) -o out/bench/kernel.json

.PHONY: setup
setup:
	@.ci/setup
