package peers

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Options say what Run measures. The zero value measures every scenario with
// every server that is installed.
type Options struct {
	// Sallyport is the binary to measure. Default out/sallyport.
	Sallyport string
	// Caddy is Caddy's binary. Default the one in Dir, which is built from source
	// if it is missing. That needs the go command and takes minutes; Quick leaves
	// Caddy out instead, unless Peers name it.
	Caddy string
	// Peers are the servers to measure beside Sallyport, by name, in any case; see
	// Peers. One that is named and not there is an error. Default all that are
	// there. NoPeers alone stands for none.
	Peers []string
	// Scenarios are those to measure, by name; see Scenarios. Default all.
	Scenarios []string
	// Rounds is how often each server is measured in each. Default 5, with Quick 2.
	Rounds int
	// Quick makes windows short: enough for an order of magnitude, in under two
	// minutes.
	Quick bool
	// Profiles is a folder for CPU profiles of Sallyport under each scenario, made
	// if it is missing. Windows are then five seconds at least, and Sallyport's
	// figures a percent or two higher. Default none are made.
	Profiles string
	// Dir keeps what outlives a run: Caddy's binary. Default out/peers.
	Dir string
	// Log is told what is going on, a line at a time. Default nobody.
	Log io.Writer
}

// complete fills in defaults, and returns the kinds and scenarios chosen, in
// their own order.
func (o *Options) complete() ([]*kind, []*scenario, error) {
	if o.Sallyport == "" {
		o.Sallyport = filepath.Join("out", "sallyport")
	}
	if o.Dir == "" {
		o.Dir = filepath.Join("out", "peers")
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	switch {
	case o.Rounds < 0:
		return nil, nil, fmt.Errorf("rounds %d: want 1 or more, or 0 for the default", o.Rounds)
	case o.Rounds == 0 && o.Quick:
		o.Rounds = 2
	case o.Rounds == 0:
		o.Rounds = 5
	}
	var others []*kind
	if len(o.Peers) != 1 || !strings.EqualFold(o.Peers[0], NoPeers) {
		var err error
		if others, err = choose("peer", kinds[1:], func(k *kind) string { return k.name }, o.Peers); err != nil {
			return nil, nil, err
		}
	}
	rows, err := choose("scenario", scenarios, func(s *scenario) string { return s.name }, o.Scenarios)
	if err != nil {
		return nil, nil, err
	}
	return append([]*kind{kinds[0]}, others...), rows, nil
}

// NoPeers has Sallyport measured alone.
const NoPeers = "none"

// Peers are the names of the servers that Sallyport can be measured beside.
func Peers() []string { return names(kinds[1:], func(k *kind) string { return k.name }) }

// Scenarios are the names of what can be measured.
func Scenarios() []string { return names(scenarios, func(s *scenario) string { return s.name }) }

// choose returns those of all that are wanted by name, in the order of all; all
// where none is named.
func choose[T any](what string, all []T, name func(T) string, wanted []string) ([]T, error) {
	if len(wanted) == 0 {
		return all, nil
	}
	known := names(all, name)
	for _, w := range wanted {
		if !slices.ContainsFunc(known, func(n string) bool { return strings.EqualFold(n, w) }) {
			return nil, fmt.Errorf("%s %q: want one of %s", what, w, strings.Join(known, "; "))
		}
	}
	var chosen []T
	for _, t := range all {
		if slices.ContainsFunc(wanted, func(w string) bool { return strings.EqualFold(name(t), w) }) {
			chosen = append(chosen, t)
		}
	}
	return chosen, nil
}

func names[T any](all []T, name func(T) string) []string {
	var list []string
	for _, t := range all {
		list = append(list, name(t))
	}
	return list
}
