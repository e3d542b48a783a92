package config

import (
	"fmt"
	"testing"
	"time"
)

func TestParseMatcher(t *testing.T) {
	for _, test := range []struct {
		text    string
		grpc    bool
		in, out []int
	}{
		{"200", false, []int{200}, []int{199, 201}},
		{"200-299,301", false, []int{200, 250, 299, 301}, []int{300, 302, 199}},
		{"200, 499", false, []int{200, 499}, []int{201, 498}},
		{"0-99", true, []int{0, 12, 99}, []int{100, -1}},
		{"0,12", true, []int{0, 12}, []int{1, 11, 13}},
	} {
		codes, err := ParseMatcher(test.text, test.grpc)
		if err != nil {
			t.Errorf("%s: %v", test.text, err)
		}
		for _, n := range test.in {
			if !codes.Has(n) {
				t.Errorf("%s lacks %d", test.text, n)
			}
		}
		for _, n := range test.out {
			if codes.Has(n) {
				t.Errorf("%s has %d", test.text, n)
			}
		}
	}
	for _, text := range []string{"", ",", "200,", "200-", "-200", "+200", "0200", "2e2", "200-100", "100", "199-299", "500", "200-500", "200--201", "200-201-202", "٢٠٠", "65736"} {
		if codes, err := ParseMatcher(text, false); err == nil || codes != nil {
			t.Errorf("%q was taken for %v", text, codes)
		}
	}
	if _, err := ParseMatcher("100", true); err == nil {
		t.Error("100 was taken for a status of gRPC")
	}
	if StatusCodes(nil).Has(200) {
		t.Error("no codes have 200")
	}
}

func FuzzParseMatcher(f *testing.F) {
	f.Add("200-299,301", false)
	f.Add("0-99", true)
	f.Add("12 , 13", true)
	f.Fuzz(func(t *testing.T, text string, grpc bool) {
		codes, err := ParseMatcher(text, grpc)
		if (err == nil) != (len(codes) > 0) {
			t.Fatalf("%q: %v, %v", text, codes, err)
		}
		for _, r := range codes {
			if grpc && (r.First < 0 || r.Last > 99) || !grpc && (r.First < 200 || r.Last > 499) || r.First > r.Last {
				t.Fatalf("%q: %v", text, r)
			}
		}
	})
}

// What is not written depends on what is.
func TestHealthCheckDefaults(t *testing.T) {
	for _, test := range []struct{ keys, path, matcher, timeout string }{
		{"protocol_version: http1, health_check: {}", "/", "200", "5s"},
		{"protocol_version: http2, health_check: {interval: 2s}", "/", "200", "2s"},
		{"protocol_version: grpc, health_check: {}", "/AWS.ALB/healthcheck", "12", "5s"},
		{`protocol_version: grpc, health_check: {path: /grpc.health.v1.Health/Check, matcher: "0", timeout: 1s}`, "/grpc.health.v1.Health/Check", "0", "1s"},
	} {
		c, _ := Parse("f", fmt.Appendf(nil, "target_groups: {g: {targets: [\"http://a\"], %s}}", test.keys), "")
		h := c.TargetGroups["g"].HealthCheck
		if !h.Enabled || !h.On() || h.Path != test.path || h.Matcher != test.matcher || h.Timeout.String() != test.timeout {
			t.Errorf("%s: %+v", test.keys, h)
		}
		if h.Passive.Failures != 0 {
			t.Errorf("%s: targets are ejected unasked", test.keys)
		}
	}
	c, _ := Parse("f", []byte(`target_groups: {absent: {targets: ["http://a"]}, passive: {targets: ["http://a"], health_check: {enabled: false, passive: {}}}}`), "")
	if h := c.TargetGroups["absent"].HealthCheck; h.On() {
		t.Errorf("checks that nobody asked for: %+v", h)
	}
	if h := c.TargetGroups["passive"].HealthCheck; h.Enabled || !h.On() || h.Passive != (PassiveHealthCheck{5, Duration(30 * time.Second)}) {
		t.Errorf("only passive: %+v", h)
	}
}
