package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"
)

func TestParseBans(t *testing.T) {
	const native = `{"bans":{"mode":"enforce","datapath":"xdp","in_force":64,"in_kernel":64,"interfaces":[{"name":"s1","mode":"native"}]}}`
	for _, tt := range []struct {
		name, status, side string
		want               int
		err                string // contained; empty is none
	}{
		{"all there", native, bansXDP, 64, ""},
		{"the good client too", native, bansXDP, 63, ""},
		{"too few", native, bansXDP, 65, "64 bans in force: want 65"},
		{"on the way", strings.Replace(native, `"in_kernel":64`, `"in_kernel":60`, 1), bansXDP, 64, "60 in the kernel"},
		{"generic", strings.Replace(native, "native", "generic", 1), bansXDP, 64, "want native"},
		{"no interface", `{"bans":{"datapath":"xdp","in_force":1,"in_kernel":1}}`, bansXDP, 1, "want native"},
		{"not in XDP", `{"bans":{"datapath":"userspace","in_force":1,"in_kernel":1}}`, bansXDP, 1, "by userspace"},
		{"user space", `{"bans":{"datapath":"userspace","in_force":64}}`, bansUserSpace, 64, ""},
		{"not in user space", native, bansUserSpace, 64, "want userspace"},
		{"off", `{"state":"serving"}`, bansOff, 64, ""},
		{"not off", native, bansOff, 64, "want none"},
		{"none", `{"state":"serving"}`, bansXDP, 64, "0 bans in force"},
		{"nonsense", `{"bans":7}`, bansXDP, 64, "parse status"},
	} {
		s, err := parseBans([]byte(tt.status))
		if err == nil {
			err = s.prove(tt.side, tt.want)
		}
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		}
	}
}

func TestWriteBans(t *testing.T) {
	var out bytes.Buffer
	if err := writeBans(&out, 257, time.UnixMilli(1234567)); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(out.String(), "\n")
	for i, want := range map[int]string{
		0:   "sallyport bans 1\n",
		1:   "100.0.0.0/32 1234567 0 - 0 0 direct \"admin\" \"\"\n",
		257: "100.0.1.0/32 1234567 0 - 0 0 direct \"admin\" \"\"\n",
	} {
		if lines[i] != want {
			t.Errorf("line %d: %q, want %q", i, lines[i], want)
		}
	}
	before, end, _ := strings.Cut(out.String(), "end ")
	want := fmt.Sprintf("257 %08x\n", crc32.Checksum([]byte(before), crc32.MakeTable(crc32.Castagnoli)))
	if end != want {
		t.Errorf("end %q, want %q", end, want)
	}
}

func TestLineCounter(t *testing.T) {
	var c lineCounter
	for _, text := range []string{"[", "\n{}", ",\n{}\n", "", "]\n"} {
		if n, err := c.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	if c != 4 {
		t.Errorf("%d lines, want 4", c)
	}
}

func TestNFTSet(t *testing.T) {
	for kind, want := range map[string]string{
		nftables: "type ipv4_addr; flags timeout; timeout 1d;",
		nftFixed: "type ipv4_addr; size 300;",
	} {
		text := string(nftSet(kind, 300))
		if !strings.Contains(text, want) || !strings.Contains(text, "\n100.0.1.43,\n") || strings.Count(text, "\n100.0.") != 300 {
			t.Errorf("%s: %.100q…, want %q and 300 addresses", kind, text, want)
		}
	}
}

func TestProveFlood(t *testing.T) {
	for _, tt := range []struct {
		got  tally
		drop bool
		err  string
	}{
		{tally{packets: 100_000}, true, ""},
		{tally{packets: 100_000, delivered: 1000}, true, ""}, // a neighbour's chatter
		{tally{packets: 100_000, delivered: 1001}, true, "want none"},
		{tally{packets: 100_000, delivered: 99_000}, false, ""},
		{tally{packets: 100_000, delivered: 98_999}, false, "want all"},
		{tally{packets: 999}, true, "want 1000 or more"},
	} {
		err := proveFlood(tt.got, tt.drop)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%+v, dropped: %t: %v, want %q", tt.got, tt.drop, err, tt.err)
		}
	}
}
