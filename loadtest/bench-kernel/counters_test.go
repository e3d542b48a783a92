package main

import (
	"strings"
	"testing"
	"time"
)

const snmp = `Ip: Forwarding DefaultTTL InReceives InDelivers
Ip: 2 64 1500 1400
Tcp: InSegs OutSegs
Tcp: 70 80
`

func TestParseSNMP(t *testing.T) {
	for _, tt := range []struct {
		text, protocol, name string
		want                 uint64
		wrong                bool
	}{
		{text: snmp, protocol: "Ip", name: "InDelivers", want: 1400},
		{text: snmp, protocol: "Tcp", name: "InSegs", want: 70},
		{text: snmp, protocol: "Ip", name: "Ip:", wrong: true},
		{text: snmp, protocol: "Ip", name: "InSegs", wrong: true},
		{text: snmp, protocol: "Udp", name: "InSegs", wrong: true},
		{text: "Ip: InDelivers\n", protocol: "Ip", name: "InDelivers", wrong: true},
		{text: "Ip: InDelivers\nIp:\n", protocol: "Ip", name: "InDelivers", wrong: true},
		{text: "Ip: InDelivers\nIp: -1\n", protocol: "Ip", name: "InDelivers", wrong: true},
		{text: "", protocol: "Ip", name: "InDelivers", wrong: true},
	} {
		got, err := parseSNMP(tt.text, tt.protocol, tt.name)
		if (err != nil) != tt.wrong || got != tt.want {
			t.Errorf("%q, %s %s: %d, %v, want %d, an error: %t", tt.text, tt.protocol, tt.name, got, err, tt.want, tt.wrong)
		}
	}
}

func TestParseSchedstat(t *testing.T) {
	for _, tt := range []struct {
		text  string
		want  uint64
		wrong bool
	}{
		{text: "123456789 42 7\n", want: 123456789},
		{text: "123456789 42", wrong: true},
		{text: "soon 42 7", wrong: true},
		{text: "", wrong: true},
	} {
		got, err := parseSchedstat(tt.text)
		if (err != nil) != tt.wrong || got != tt.want {
			t.Errorf("%q: %d, %v, want %d, an error: %t", tt.text, got, err, tt.want, tt.wrong)
		}
	}
}

func TestParseStat(t *testing.T) {
	const fields = "S 1 77 77 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 1 0"
	for _, tt := range []struct {
		text  string
		want  time.Duration
		wrong bool
	}{
		{text: "4711 (sallyport) " + fields, want: 1750 * time.Millisecond},
		{text: "4711 (a) b (c d) " + fields, want: 1750 * time.Millisecond},
		{text: "", wrong: true},
		{text: "4711 (sallyport) S 1 77", wrong: true},
		{text: "4711 (sallyport) " + strings.ReplaceAll(fields, "150", "x"), wrong: true},
	} {
		got, err := parseStat(tt.text)
		if (err != nil) != tt.wrong || got != tt.want {
			t.Errorf("%q: %s, %v, want %s, an error: %t", tt.text, got, err, tt.want, tt.wrong)
		}
	}
}

// FuzzCounters checks that no text makes a parser panic, or be right by halves.
func FuzzCounters(f *testing.F) {
	for _, text := range []string{snmp, "1 2 3", "4711 (a) b S 1 77 77 0 -1 4194560 1 2 3 4 150 25 0 0", ")", "Ip:\nIp:"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := parseSNMP(text, "Ip", "InDelivers"); err != nil && n != 0 {
			t.Errorf("snmp %q: %d beside an error", text, n)
		}
		if n, err := parseSchedstat(text); err != nil && n != 0 {
			t.Errorf("schedstat %q: %d beside an error", text, n)
		}
		if d, err := parseStat(text); d < 0 || err != nil && d != 0 {
			t.Errorf("stat %q: %s, %v", text, d, err)
		}
	})
}
