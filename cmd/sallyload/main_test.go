package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestExitCodes(t *testing.T) {
	for args, want := range map[string]int{
		"help":                                   exitDone,
		"--version":                              exitDone,
		"run --help":                             exitDone,
		"frobnicate":                             exitUsage,
		"run":                                    exitUsage,
		"run --frobnicate":                       exitUsage,
		"run --rate fast https://127.0.0.1:1/":   exitUsage,
		"run http://127.0.0.1:1/":                exitUsage,
		"run --plan missing.yaml":                exitUsage,
		"report":                                 exitUsage,
		"peers x":                                exitUsage,
		"peers --peers lighttpd":                 exitUsage,
		"pki --key dsa x":                        exitUsage,
		"report missing.json":                    exitFound,
		"run --count 1 https://192.0.2.1/":       exitFound,
		"peers --sallyport missing/sallyport":    exitFound,
		"pki --leaves 0 --revoked 0 /proc/self":  exitFound,
		"run --count 1 --pid 1 https://[::1]:1/": exitFound, // nobody listens
	} {
		var out, errs bytes.Buffer
		if got := run(strings.Fields(args), &out, &errs); got != want {
			t.Errorf("sallyload %s: exit %d, want %d\n%s%s", args, got, want, out.String(), errs.String())
		}
		if want == exitUsage && (out.Len() > 0 || !strings.HasSuffix(errs.String(), "Try \"sallyload help\".\n")) {
			t.Errorf("sallyload %s: printed %q and %q", args, out.String(), errs.String())
		}
	}
}
