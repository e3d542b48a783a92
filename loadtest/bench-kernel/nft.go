package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"time"
)

// nft is the peer: one set in the server's namespace, and a chain on one hook at
// a time that drops whose source is in it. Unlike bans in XDP it counts nothing,
// and looks at no port.
type nft struct{ end *end }

// nftSets are how the set is declared, by its side in the report.
var nftSets = map[string]string{
	// As those who ban addresses have it: they end by themselves.
	nftables: "flags timeout; timeout 1d",
	// The kind that is looked up fastest. Somebody else must end its bans.
	nftFixed: "size %d",
}

// nftHooks are where a chain can be, by the name in the report.
var nftHooks = map[string]string{
	"ingress":    `ingress device "%s" priority 0`, // as soon as there is a socket buffer
	"prerouting": `prerouting priority -300`,       // raw: before connections are tracked
}

// lackOfNFT says why the peer is left out, empty if it is not.
func lackOfNFT() string {
	if _, err := exec.LookPath("nft"); err != nil {
		return "nft is not installed (package nftables)"
	}
	return ""
}

// load puts n addresses in a set of a kind, in place of those before, and returns
// how long that took nft and the kernel. What it reads is made before.
func (f nft) load(kind string, n int) (time.Duration, error) {
	rules := nftSet(kind, n)
	if err := f.unload(); err != nil {
		return 0, err
	}
	start := time.Now()
	err := f.run(rules)
	return time.Since(start), err
}

func nftSet(kind string, n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "table inet bench {\n\tset banned {\n\t\ttype ipv4_addr; %s;\n\t\telements = {\n", inserted(nftSets[kind], n))
	for i := range n {
		fmt.Fprintf(&b, "%s,\n", bannedAddress(i))
	}
	b.WriteString("\t\t}\n\t}\n}\n")
	return b.Bytes()
}

// inserted puts a value where text has a verb, if it has one.
func inserted(text string, value any) string {
	if !strings.Contains(text, "%") {
		return text
	}
	return fmt.Sprintf(text, value)
}

// unload removes everything.
func (f nft) unload() error { return f.run([]byte("add table inet bench\ndelete table inet bench\n")) }

// drop has the chain drop on a hook, and returns what takes it away.
func (f nft) drop(hook string) (remove func() error, err error) {
	err = f.run(fmt.Appendf(nil, "add chain inet bench filter { type filter hook %s; policy accept; }\n"+
		"add rule inet bench filter ip saddr @banned drop\n", inserted(nftHooks[hook], f.end.device)))
	return func() error {
		return f.run([]byte("flush chain inet bench filter\ndelete chain inet bench filter\n"))
	}, err
}

func (f nft) run(rules []byte) error { return f.end.command("nft", []string{"-f", "-"}, rules) }

func nftVersion(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "nft", "--version").Output()
	if err != nil {
		return "nftables"
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(out)), " (")
	return version
}

// bannedAddress is the i-th address that is banned.
func bannedAddress(i int) netip.Addr {
	v := uint32(bannedFrom + i)
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
