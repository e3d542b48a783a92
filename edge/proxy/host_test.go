package proxy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

var hosts = map[string]bool{
	"a.test": true, "A.Test": true, "a.test.": true, "a.test:443": true, "a.test.:443": true, "a_b-c.test": true,
	"localhost": true, "127.0.0.1": true, "127.0.0.1:80": true, "[::1]": true, "[::1]:443": true, "[2001:db8::1]:65535": true,
	"a.test:443:443": false, "a.test:443:x": false, "a.test::": false, "a.test:": false, "a.test:x": false,
	"a.test:65536": false, "a.test:000080": false, "a.test.:1:1": false, "a.test..": false, ".a.test": false, "a..test": false,
	"[a.test]": false, "[::1": false, "[::1]x": false, "[::1]:": false, "[127.0.0.1]": false, "[fe80::1%eth0]": false, "::1": false,
	"a%2etest": false, "%61.test": false, "a.test,b.test": false, "a.test b": false, "user@a.test": false, "a.test/": false,
	".": false, ":": false, ":80": false, "é.test": false, "a.test\\": false, "a.test#": false,
}

func TestValidHost(t *testing.T) {
	for host, want := range hosts {
		if got := validHost(host); got != want {
			t.Errorf("%q: %v, want %v", host, got, want)
		}
	}
}

// TestMalformedHostIsRefused sends each over the wire: none with more than one
// reading comes to a target.
func TestMalformedHostIsRefused(t *testing.T) {
	e := startEdge(t, newListener(false).forwardTo(t, startTarget(t, func(http.ResponseWriter, *http.Request) {})))
	for host, valid := range hosts {
		answer := e.raw(fmt.Sprintf("GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host))
		if ok := strings.HasPrefix(answer, "HTTP/1.1 200"); ok != valid {
			t.Errorf("Host %q: %.40q", host, answer)
		}
	}
}
