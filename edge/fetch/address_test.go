package fetch

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func TestCheckAddress(t *testing.T) {
	for address, kind := range map[string]string{
		"1.1.1.1": "", "100.63.255.255": "", "100.128.0.0": "", "172.32.0.1": "", "192.0.1.1": "",
		"2606:4700::1111": "", "64:ff9b::101:101": "", "2002:101:101::1": "", "::ffff:1.1.1.1": "",
		"0.0.0.0": "unspecified", "0.1.2.3": "unspecified", "127.0.0.1": "loopback", "127.9.9.9": "loopback",
		"10.0.0.1": "private", "172.16.0.1": "private", "172.31.255.255": "private", "192.168.255.1": "private",
		"100.64.0.1": "carrier", "100.100.100.200": "carrier", "169.254.1.1": "link-local", "169.254.169.254": "metadata",
		"168.63.129.16": "metadata", "192.0.0.192": "reserved", "198.18.0.1": "benchmarks", "203.0.113.7": "documentation",
		"224.0.0.1": "multicast", "239.1.1.1": "multicast", "240.0.0.1": "reserved", "255.255.255.255": "reserved",
		"::": "unspecified", "::1": "loopback", "::ffff:127.0.0.1": "loopback", "::ffff:169.254.169.254": "metadata",
		"::127.0.0.1": "reserved", "fe80::1": "link-local", "fe80::1%eth0": "link-local", "fec0::1": "reserved",
		"fd00:ec2::254": "private", "fc00::1": "private", "ff02::1": "multicast", "64:ff9b::a00:1": "private",
		"64:ff9b::a9fe:a9fe": "metadata", "64:ff9b:1::a00:1": "reserved", "2002:7f00:1::1": "loopback",
		"2001::1": "reserved", "2001:db8::1": "documentation", "100::1": "reserved", "5f00::1": "reserved",
	} {
		err := checkAddress(netip.MustParseAddr(address), nil)
		var refused *AddressError
		switch {
		case kind == "" && err != nil:
			t.Errorf("%s: %v", address, err)
		case kind != "" && (!errors.As(err, &refused) || !strings.Contains(refused.Kind, kind)):
			t.Errorf("%s: got %v, want a refusal for being %s", address, err, kind)
		}
	}
	if checkAddress(netip.Addr{}, nil) == nil {
		t.Error("no address was taken")
	}
}

func TestAllow(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}
	for address, ok := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "64:ff9b::a01:203": true, "fd12::1": true,
		"10.2.0.1": false, "127.0.0.1": false, "fe80::1": false,
	} {
		if err := checkAddress(netip.MustParseAddr(address), allow); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestControl: nothing but TCP to an address in numbers is connected to.
func TestControl(t *testing.T) {
	for _, to := range [][2]string{{"udp4", "1.1.1.1:53"}, {"tcp", "1.1.1.1:80"}, {"tcp4", "name:80"}, {"unix", "/run/x"}, {"tcp6", "[::1]:80"}} {
		if err := (Network{}).control(to[0], to[1], nil); err == nil {
			t.Errorf("%v was taken", to)
		}
	}
	if err := (Network{}).control("tcp4", "1.1.1.1:80", nil); err != nil {
		t.Error(err)
	}
}

func FuzzContentRange(f *testing.F) {
	for _, seed := range []string{"bytes 0-4/5", "bytes 5-9/*", "bytes */10", "bytes 9-5/10", "bytes 0-99999999999999999999/5", "items 0-1/2", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		from, to, total, err := parseContentRange(text)
		if err == nil && (from < 0 || to < from || total >= 0 && to >= total || !strings.HasPrefix(text, "bytes ")) {
			t.Errorf("%q: %d-%d/%d", text, from, to, total)
		}
	})
}
