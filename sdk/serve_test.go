package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/sdk"
	"github.com/sallyport/sallyport/sdk/frame"
	"github.com/sallyport/sallyport/sdk/sdktest"
)

// asPlugin is the first argument that makes the test's program a plugin.
const asPlugin = "as-plugin"

// runPlugin does not return if this process is to be a plugin.
func runPlugin() {
	if len(os.Args) < 2 || os.Args[1] != asPlugin {
		return
	}
	sdk.Serve(deciding(func(_ context.Context, r sdk.Request) sdk.Verdict {
		switch r.Path() {
		case "/log":
			slog.Warn("by the default logger", "path", r.Path())
			fmt.Println("by standard output")
		case "/environment":
			return sdk.Deny(403, os.Getenv("SALLYPORT_PLUGIN_FD")+"|"+childSees())
		case "/exit":
			os.Exit(7)
		}
		return sdk.Allow()
	}, sdk.Path))
	os.Exit(0)
}

// childSees tells whether a program that the plugin starts has the edge's socket.
func childSees() string {
	out, err := exec.Command("/bin/sh", "-c", "test -e /proc/self/fd/3 && readlink /proc/self/fd/3 || echo nothing").Output()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(out))
}

func program(t *testing.T, more ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{asPlugin}, more...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	return cmd
}

func TestProgram(t *testing.T) {
	plugin := sdktest.Run(t, nil, os.Args[0], asPlugin)
	if got := plugin.AuthorizeRequest(sdktest.Request{Path: "/log"}); !got.Allowed {
		t.Errorf("%v", got)
	}
	if got := plugin.WaitForLog("default logger"); got != "WARN by the default logger path=/log" {
		t.Error(got)
	}
	if got := plugin.AuthorizeRequest(sdktest.Request{Path: "/environment"}); got.Reason != "|nothing" {
		t.Errorf("the environment of the plugin and its children: %q", got.Reason)
	}
	if err := plugin.Stop(); err != nil {
		t.Errorf("after GOAWAY: %v", err)
	}
}

func TestProgramConforms(t *testing.T) {
	sdktest.Conformance(t, func(t *testing.T) *sdktest.Plugin { return sdktest.Run(t, nil, os.Args[0], asPlugin) })
}

func TestByHand(t *testing.T) {
	for what, c := range map[string]struct {
		env  string
		args []string
		exit int
		want string
	}{
		"alone":             {"", nil, 2, "test is a plugin for Sallyport (hooks: request), and the edge starts it. To try it: sallyport plugin test " + os.Args[0]},
		"no number":         {"SALLYPORT_PLUGIN_FD=a", nil, 1, `SALLYPORT_PLUGIN_FD="a": want the number`},
		"nothing there":     {"SALLYPORT_PLUGIN_FD=77", nil, 1, "file descriptor 77 (SALLYPORT_PLUGIN_FD) is no socket"},
		"no socket":         {"SALLYPORT_PLUGIN_FD=0", nil, 1, "file descriptor 0 (SALLYPORT_PLUGIN_FD) is no socket"},
		"no path":           {"", []string{"-sallyport-listen"}, 1, "want the path of a socket"},
		"no path after =":   {"", []string{"--sallyport-listen="}, 1, "want the path of a socket"},
		"path is no socket": {"", []string{"-sallyport-listen", os.Args[0]}, 1, "it is there, and no socket"},
		"no such directory": {"SALLYPORT_PLUGIN_LISTEN=/nowhere/s", nil, 1, "test: listen unix /nowhere/s"},
	} {
		cmd := program(t, c.args...)
		if c.env != "" {
			cmd.Env = append(cmd.Env, c.env)
		}
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != c.exit || !strings.Contains(string(out), c.want) || bytes.Count(out, []byte("\n")) != 1 {
			t.Errorf("%s: %v, %s\nwant exit %d and one line with %q", what, err, out, c.exit, c.want)
		}
	}
}

// TestListen runs a plugin as under a debugger: it listens, and serves one edge
// after the other.
func TestListen(t *testing.T) {
	dir, err := os.MkdirTemp("", "sdk") // short: the path of a socket has little room
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()

	cmd := program(t, "-sallyport-listen", path)
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
		if !strings.Contains(stderr.String(), "attach: "+path) {
			t.Errorf("it said %q", stderr)
		}
	}()
	for range 2 {
		h := &rawHost{conn: dial(t, path)}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the socket: %v, error %v", info.Mode(), err)
		}
		h.expect(t, frame.Hello)
		h.send(t, configure(nil))
		h.expect(t, frame.Configured)
		h.call(t, "/")
		h.expect(t, frame.Verdict)
		h.conn.Close()
	}
	if out, err := program(t, "--sallyport-listen="+path).CombinedOutput(); err == nil || !strings.Contains(string(out), "somebody listens there") {
		t.Errorf("a second one: %s, %v", out, err)
	}
}

// dial waits until somebody listens.
func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("unix", path)
		if err == nil {
			return conn
		}
		if time.Now().After(deadline) || errors.Is(err, fs.ErrPermission) {
			t.Fatalf("nobody listens: %v", err)
		}
	}
}
