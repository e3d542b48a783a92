package main

import (
	"encoding/pem"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sallyport/sallyport/edge/servercert/pebble"
)

// authorities are the scripts' CAs, by the script's directory, and holds what their
// orders wait for.
var authorities, holds sync.Map

func startPebble(ts *testscript.TestScript, _ bool, args []string) {
	if args[0] == "start" {
		var o pebble.Options
		var err error
		o.TLSPort, err = strconv.Atoi(args[1])
		ts.Check(err)
		o.HTTPPort, err = strconv.Atoi(args[2])
		ts.Check(err)
		o.Profiles = map[string]time.Duration{}
		for _, profile := range args[3:] {
			name, life, _ := strings.Cut(profile, "=")
			o.Profiles[name], err = time.ParseDuration(life)
			ts.Check(err)
		}
		authority, err := pebble.Start(ts.MkAbs("."), o)
		ts.Check(err)
		ts.Defer(func() { authority.Close() })
		authorities.Store(ts.MkAbs("."), authority)
		ts.Setenv("ACME", authority.Directory)
		root, err := authority.Root()
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs("issued-ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}), 0o600))
		return
	}
	known, ok := authorities.Load(ts.MkAbs("."))
	if !ok {
		ts.Fatalf("pebble %s: want pebble start before", args[0])
	}
	authority := known.(*pebble.CA)
	switch args[0] {
	case "down":
		authority.Fail(pebble.Failure{Down: true})
	case "up":
		authority.Fail(pebble.Failure{})
		if held, ok := holds.LoadAndDelete(ts.MkAbs(".")); ok {
			close(held.(chan struct{}))
		}
	case "hold":
		held := make(chan struct{})
		holds.Store(ts.MkAbs("."), held)
		authority.Fail(pebble.Failure{Hold: held})
	case "held":
		for over := time.Now().Add(patience); len(authority.Orders()) == 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(over) {
				ts.Fatalf("no order within %s", patience)
			}
		}
	case "orders":
		ts.Check(os.WriteFile(ts.MkAbs("orders"), []byte(strings.Join(authority.Orders(), "\n")+"\n"), 0o600))
	default:
		ts.Fatalf("pebble %s: want start, down, up, hold, held or orders", args[0])
	}
}
