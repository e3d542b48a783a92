package sdktest

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/sdk/frame"
)

// The first argument that makes this program a bad plugin, and the variable that
// makes it test one.
const (
	badArgument = "bad-plugin"
	badVariable = "SDKTEST_BAD_PLUGIN"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == badArgument {
		os.Exit(misbehave(os.Args[2]))
	}
	os.Exit(m.Run())
}

// misbehave is a plugin that does one thing wrong, and gives its exit status.
func misbehave(how string) int {
	edge, err := net.FileConn(os.NewFile(3, "edge"))
	if err != nil {
		return 90
	}
	hello := frame.HelloBody{Protocols: []uint32{1}, Name: "bad", Hooks: frame.HookRequest, Concurrency: 1, MaxFrame: frame.DefaultMax}
	if how == "bad HELLO" {
		hello.Concurrency = 0
	}
	edge.Write(frame.End(hello.Append(frame.Begin(nil, frame.Hello, 0)), 0))
	allow := frame.VerdictBody{Decision: frame.Allow}
	r := &reading{conn: edge, max: frame.DefaultMax}
	for {
		f, err := r.next()
		if err != nil {
			return 0
		}
		var out []byte
		switch f.Type {
		case frame.Configure:
			out = frame.Append(nil, frame.Configured, 0)
		case frame.Ping:
			out = frame.Append(nil, frame.Pong, f.ID)
		case frame.Request:
			id := f.ID
			if how == "wrong id" {
				id += 1000
			}
			out = frame.End(allow.Append(frame.Begin(nil, frame.Verdict, id)), 0)
			switch how {
			case "verdict twice":
				out = append(out, out...)
			case "bad verdict":
				out = frame.End(frame.AppendUint(frame.Begin(nil, frame.Verdict, id), frame.TagStatus, 200), 0)
			case "garbage":
				out = []byte("HTTP/1.1 200 OK\r\n\r\n")
			case "dies":
				return 3
			case "changes its mind":
				if allow.Decision++; allow.Decision > frame.Deny {
					allow.Decision = frame.Allow
				}
			}
		case frame.GoAway:
			if how == "exit status" {
				return 4
			}
			return 0
		}
		edge.Write(out)
	}
}

// TestOfABadPlugin is run by TestBadPluginsAreFound, in a process of its own.
func TestOfABadPlugin(t *testing.T) {
	how := os.Getenv(badVariable)
	if how == "" {
		t.Skip("run by TestBadPluginsAreFound")
	}
	manyCalls(t, Run(t, nil, os.Args[0], badArgument, how))
}

func TestBadPluginsAreFound(t *testing.T) {
	for how, want := range map[string]string{
		"bad HELLO":        "tag 7: 0, want 1 to 1024",
		"wrong id":         "VERDICT with id 1001, which is not open",
		"verdict twice":    "VERDICT with id 1, which is not open",
		"bad verdict":      "tag 17: 200, want 400 to 599",
		"garbage":          "malformed frame: length",
		"dies":             "the plugin has gone",
		"changes its mind": "and for the same fields",
		"exit status":      "the plugin ended: exit status 4",
		"nothing":          "",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0], "-test.run=^TestOfABadPlugin$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), badVariable+"="+how)
			out, err := cmd.CombinedOutput()
			if failed := err != nil; failed != (want != "") || !strings.Contains(string(out), want) {
				t.Errorf("the test of it: %v, %s\nwant %q in it", err, out, want)
			}
		})
	}
}

func TestHeaderOfAVerdict(t *testing.T) {
	v := Verdict{Edits: []Edit{{"set", "X-A", "1"}, {"add", "x-a", "2"}, {"set", "X-B", "3"}, {"remove", "X-B", ""}}}
	if v.Header("X-a") != "2" || v.Header("X-B") != "" || v.Header("X-C") != "" {
		t.Errorf("X-A %q, X-B %q, X-C %q", v.Header("X-A"), v.Header("X-B"), v.Header("X-C"))
	}
}
