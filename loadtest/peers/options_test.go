package peers

import (
	"slices"
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		name      string
		options   Options
		peers     []string
		scenarios int
		rounds    int
		err       string
	}{
		{"zero", Options{}, Peers(), len(Scenarios()), 5, ""},
		{"quick", Options{Quick: true}, Peers(), len(Scenarios()), 2, ""},
		{"rounds", Options{Quick: true, Rounds: 7}, Peers(), len(Scenarios()), 7, ""},
		{"in their own order, in any case", Options{Peers: []string{"haproxy", "NGINX"}, Scenarios: []string{"Gigabyte", "resumed handshake"}}, []string{"nginx", "HAProxy"}, 2, 5, ""},
		{"negative rounds", Options{Rounds: -1}, nil, 0, 0, "rounds -1: want 1 or more"},
		{"unknown peer", Options{Peers: []string{"apache"}}, nil, 0, 0, `peer "apache": want one of nginx; HAProxy; Caddy; Go net/http`},
		{"Sallyport is no peer", Options{Peers: []string{"Sallyport"}}, nil, 0, 0, `peer "Sallyport"`},
		{"unknown scenario", Options{Scenarios: []string{"handshake"}}, nil, 0, 0, `scenario "handshake": want one of full handshake, returning client;`},
	} {
		t.Run(test.name, func(t *testing.T) {
			kinds, scenarios, err := test.options.complete()
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("error %v, want %q in it", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := names(kinds, func(k *kind) string { return k.name })
			if want := append([]string{"Sallyport"}, test.peers...); !slices.Equal(got, want) {
				t.Errorf("servers %q, want %q", got, want)
			}
			if len(scenarios) != test.scenarios || test.options.Rounds != test.rounds {
				t.Errorf("%d scenarios, %d rounds, want %d, %d", len(scenarios), test.options.Rounds, test.scenarios, test.rounds)
			}
			if test.options.Sallyport == "" || test.options.Dir == "" || test.options.Log == nil {
				t.Errorf("a default is missing: %+v", test.options)
			}
		})
	}
}

// Other people's scripts read the report by these names.
func TestScenarioNames(t *testing.T) {
	want := []string{
		"full handshake, returning client",
		"full handshake, new client",
		"resumed handshake",
		"refused, no certificate",
		"refused, revoked",
		"keep-alive HTTP/1.1 request",
		"HTTP/2 request",
		"gigabyte",
		"idle connection memory",
		"p99 at fixed rate",
		"full handshake, CRL of 1M",
	}
	if got := Scenarios(); !slices.Equal(got, want) {
		t.Errorf("scenarios %q, want %q", got, want)
	}
}
