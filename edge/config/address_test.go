package config

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	ip := netip.MustParseAddr
	for text, want := range map[string]Address{
		":443":                    {First: 443, Last: 443},
		":0":                      {},
		"0.0.0.0:443":             {First: 443, Last: 443},
		"[::]:8000-8999":          {First: 8000, Last: 8999},
		":1-65535":                {First: 1, Last: 65535},
		"10.0.0.1:443":            {ip("10.0.0.1"), 32, 443, 443},
		"10.0.0.1:443-443":        {ip("10.0.0.1"), 32, 443, 443},
		"10.0.0.1/32:443":         {ip("10.0.0.1"), 32, 443, 443},
		"[::ffff:10.0.0.1]:443":   {ip("10.0.0.1"), 32, 443, 443},
		"[fe80::1%eth0]:443":      {ip("fe80::1%eth0"), 128, 443, 443},
		"203.0.113.0/24:443":      {ip("203.0.113.0"), 24, 443, 443},
		"0.0.0.0/0:443":           {ip("0.0.0.0"), 0, 443, 443},
		"[2001:db8::/64]:443-444": {ip("2001:db8::"), 64, 443, 444},
	} {
		got, err := ParseAddress(text)
		if err != nil || got != want {
			t.Errorf("ParseAddress(%q) = %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                        "want HOST:PORT",
		"443":                     "want HOST:PORT",
		"10.0.0.1":                "want HOST:PORT",
		"localhost:443":           "want HOST:PORT",
		"10.0.0.0/33:443":         "want HOST:PORT",
		"2001:db8::/64:443":       "want HOST:PORT",
		"[::ffff:10.0.0.0/104]:1": "want HOST:PORT",
		"[fe80::%eth0/64]:443":    "want HOST:PORT",
		"[fe80::1%eth0]:443-444":  "no zone",
		"10.0.0.1/8:443":          "want 10.0.0.0/8",
		"10.0.0.0/8:0":            "1 to 65535",
		":0-5":                    "want HOST:PORT",
		":9-5":                    "5-9",
		":5-":                     "want HOST:PORT",
		":-5":                     "want HOST:PORT",
		":5-65536":                "want HOST:PORT",
		":1-2-3":                  "want HOST:PORT",
		":08-9":                   "want HOST:PORT",
		":+8":                     "want HOST:PORT",
	} {
		if got, err := ParseAddress(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseAddress(%q) = %+v, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestAddressesThatConflict(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{":443", ":443", true},
		{":443", "10.0.0.1:443", true}, // two sockets, which cannot be opened beside each other
		{":0", ":0", false},
		{":443", "10.0.0.0/8:443", false},
		{"10.0.0.1:443", "10.0.0.0/8:443", false},
		{"10.0.0.1:443", "10.0.0.1:443-444", false},
		{":443", ":1-1000", false},
		{":443", "0.0.0.0/0:443", true},
		{":1-1000", "[::/0]:1000-1999", true},
		{":1-1000", "[::/0]:1000-1998", false},
		{"10.0.0.0/8:80-89", "10.0.0.0/8:85-94", true},
		{"10.0.0.0/8:80-89", "10.0.0.0/8:90-99", false},
		{"10.0.0.0/8:80-89", "10.1.0.0/16:80-89", false},
		{"10.0.0.0/8:80-89", "11.0.0.0/8:80-89", false},
		{"10.0.0.0/8:80-89", "10.0.0.0/8:80-89", true},
	} {
		a, errA := ParseAddress(test.a)
		b, errB := ParseAddress(test.b)
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if got := a.conflicts(b); got != test.want || b.conflicts(a) != got {
			t.Errorf("%s and %s conflict: %v, want %v", test.a, test.b, got, test.want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{":443", "203.0.113.0/24:8000-8999", "[2001:db8::/64]:443-444", "[fe80::1%eth0]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(s)
		if err != nil {
			return
		}
		if a.First > a.Last || a.First == 0 && a.Last != 0 {
			t.Fatalf("%q: ports %d-%d", s, a.First, a.Last)
		}
		for _, p := range a.Prefixes() {
			if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() {
				t.Fatalf("%q: prefix %v", s, p)
			}
		}
		if a.First == 0 && !a.IsSocket() {
			t.Fatalf("%q: port 0 of a range", s)
		}
	})
}
