package config

import (
	"math"
	"regexp"
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	pattern := regexp.MustCompile(durationPattern)
	for _, test := range []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"10s", 10 * time.Second, true},
		{"1h30m", 90 * time.Minute, true},
		{"7d", 7 * 24 * time.Hour, true},
		{"1.5h", 90 * time.Minute, true},
		{"0s", 0, true},
		{"0", 0, true},
		{"10", 0, false},
		{"-1s", 0, false},
		{"1.5d", 0, false},
		{"1d12h", 0, false},
		{"d", 0, false},
		{"", 0, false},
		{" 1s", 0, false},
	} {
		d := Duration(-1)
		err := d.UnmarshalText([]byte(test.text))
		if (err == nil) != test.ok || test.ok && d.Std() != test.want {
			t.Errorf("%q: want %v, %v; got %v, %v", test.text, test.want, test.ok, d, err)
		}
		if pattern.MatchString(test.text) != test.ok {
			t.Errorf("%q: the schema's pattern says otherwise", test.text)
		}
		if text, _ := d.MarshalText(); err == nil {
			var again Duration
			if err := again.UnmarshalText(text); err != nil || again != d {
				t.Errorf("%q: written as %s, read as %v, %v", test.text, text, again, err)
			}
		}
	}
	// What the schema cannot say.
	for _, text := range []string{"99999d", "9999999h"} {
		var d Duration
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: want an error, got %v", text, d)
		}
	}
}

func TestSize(t *testing.T) {
	pattern := regexp.MustCompile(sizePattern)
	for _, test := range []struct {
		text string
		want Size
		ok   bool
	}{
		{"10000B", 10000, true},
		{"64KiB", 64 << 10, true},
		{"1MiB", 1 << 20, true},
		{"3GiB", 3 << 30, true},
		{"0B", 0, true},
		{"64", 0, false},
		{"64kB", 0, false},
		{"64 KiB", 0, false},
		{"-1B", 0, false},
		{"+1B", 0, false},
		{"1.5MiB", 0, false},
		{"KiB", 0, false},
		{"", 0, false},
	} {
		s := Size(-1)
		err := s.UnmarshalText([]byte(test.text))
		if (err == nil) != test.ok || test.ok && s != test.want {
			t.Errorf("%q: want %d, %v; got %d, %v", test.text, test.want, test.ok, s, err)
		}
		if pattern.MatchString(test.text) != test.ok {
			t.Errorf("%q: the schema's pattern says otherwise", test.text)
		}
		if text, _ := s.MarshalText(); err == nil && s > 0 && string(text) != test.text {
			t.Errorf("%q: written as %s", test.text, text)
		}
	}
	var s Size
	if err := s.UnmarshalText([]byte("8589934592GiB")); err == nil {
		t.Errorf("2^63 bytes: want an error, got %d", s)
	}
	if err := s.UnmarshalText([]byte("9223372036854775807B")); err != nil || s != math.MaxInt64 {
		t.Errorf("2^63-1 bytes: got %d, %v", s, err)
	}
}

func TestNearest(t *testing.T) {
	fields := []field{{key: "address"}, {key: "protocol"}, {key: "ca_bundle"}, {key: "crls"}, {key: "url"}}
	for _, test := range []struct{ key, want string }{
		{"adress", "address"},
		{"Address", "address"},
		{"adderss", "address"},
		{"caBundle", "ca_bundle"},
		{"ca-bundle", "ca_bundle"},
		{"crl", "crls"},
		{"cert", ""},
		{"name", ""},
		{"protocol_version", ""},
		{"", ""},
	} {
		if got := nearest(test.key, fields); got != test.want {
			t.Errorf("%q: want %q, got %q", test.key, test.want, got)
		}
	}
}
