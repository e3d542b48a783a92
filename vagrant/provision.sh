#!/bin/bash
# Takes a bare Debian 12, as root, to a demo that has run and tests that have
# passed. It can be run again.
#
# provision.sh SOURCE: SOURCE is this repository; it is copied, not written to.
#
# Only Debian's archive and the Go module proxy are asked: Go itself comes from the
# latter too, as the module golang.org/toolchain, fetched by Debian's older Go and
# checked against the checksum database. TESTS says which packages to test: all by
# default, "" for none.
set -euo pipefail
source=${1:?usage: provision.sh SOURCE}
tests=${TESTS-./...}
work=/opt/sallyport
export DEBIAN_FRONTEND=noninteractive HOME=${HOME:-/root} LANG=C.UTF-8

step() { echo "provision: $*" >&2; }

. /etc/os-release
[ "$ID" = debian ] && [ "$VERSION_ID" = 12 ] || {
	echo "provision: $PRETTY_NAME: want Debian 12" >&2
	exit 1
}

step "packages"
apt-get update -qq
apt-get install -y -qq --no-install-recommends ca-certificates curl git golang-go make rsync >/dev/null

step "source in $work"
mkdir -p "$work"
rsync -a --delete --exclude=/out/ --exclude=/.git --exclude=/vagrant/.vagrant/ "$source/" "$work/"
cd "$work"

# Debian's Go is older than what fetches toolchains by itself.
want=go$(sed -n 's/^go \([0-9.]*\)$/\1/p' go.mod)
toolchain=$(sed -n 's/^toolchain \(go[0-9.]*\)$/\1/p' go.mod)
want=${GOVERSION:-${toolchain:-$want}}
root=/usr/local/go
if [ "$("$root/bin/go" env GOVERSION 2>/dev/null)" != "$want" ]; then
	step "$want"
	arch=$(dpkg --print-architecture)
	module=golang.org/toolchain@v0.0.1-$want.linux-$arch
	scratch=$(mktemp -d)
	(
		cd "$scratch"
		export GOFLAGS=-mod=mod GO111MODULE=on
		go mod init scratch >/dev/null 2>&1
		# The check against the checksum database is go's own.
		go mod download -json "$module" >download.json
	)
	dir=$(sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p' "$scratch/download.json")
	[ -x "$dir/pkg/tool/linux_$arch/compile" ] || [ -d "$dir/bin" ] || {
		echo "provision: no $module: $(cat "$scratch/download.json")" >&2
		exit 1
	}
	rm -rf "$root"
	cp -r "$dir" "$root"
	chmod -R u+w "$root"
	# Modules carry no modes: every program of a toolchain is one.
	chmod 755 "$root"/bin/* "$root"/pkg/tool/*/*
	rm -rf "$scratch"
fi
ln -sf "$root/bin/go" /usr/local/bin/go
ln -sf "$root/bin/gofmt" /usr/local/bin/gofmt
hash -r
export GOTOOLCHAIN=local
step "$(go version)"

step "demo"
make demo

if [ -n "$tests" ]; then
	step "tests of $tests"
	if [ "$tests" = ./... ]; then
		.ci/setup # browsers, other servers, compilers: what all tests together want
	fi
	go test $tests
fi
step "done: cd $work && out/sallyport demo --dir /tmp/demo"
