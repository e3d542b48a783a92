package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/admin"
	"github.com/sallyport/sallyport/edge/ban"
	"github.com/sallyport/sallyport/edge/connlog"
	"github.com/sallyport/sallyport/edge/identity"
)

// TestWhoUnbans has bans ended on the page, by an operator's certificate and through
// the admin socket, and by the command line's call: the log says of each who it was,
// in one form, and the access log has the requests of the page.
func TestWhoUnbans(t *testing.T) {
	r := newRig(t)
	ops := r.operate()
	log := &safeBuffer{}
	r.log = slog.NewJSONHandler(log, nil)
	r.configureAdmin(", actions: true")
	name := filepath.Join(r.dir, "sallyport.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("logs: {"), []byte("logs: {access: {file: access.log, format: json}, "), 1)
	r.write("sallyport.yaml", append(text, "\nban: {mode: enforce, datapath: userspace}\n"...))
	r.run()
	for _, prefix := range []string{"192.0.2.7/32", "192.0.2.8/32", "192.0.2.9/32", "96.0.0.0/4"} {
		if _, err := r.server.bans.keeper.Ban(netip.MustParsePrefix(prefix), time.Hour, "test", ban.ByAdmin); err != nil {
			t.Fatal(err)
		}
	}
	leaf := operator(ops, "ops")
	browser := r.browser(leaf)
	forwarded := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(r.dir, "run", "admin.sock"))
		},
	}, CheckRedirect: browser.CheckRedirect}
	at := "https://" + r.address(adminListenerName)
	unban := func(client *http.Client, at, form string, want int) {
		t.Helper()
		response, err := client.Post(at+"/page/unban", "application/x-www-form-urlencoded", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		io.Copy(io.Discard, response.Body) // so that the connection is used again
		if response.StatusCode != want {
			t.Errorf("%s: %s", form, response.Status)
		}
	}
	unban(browser, at, "prefix=192.0.2.7%2F32", http.StatusSeeOther)
	unban(browser, at, "prefix=192.0.2.7%2F32", http.StatusSeeOther)            // finds nothing to end
	unban(browser, at, "prefix=192.0.2.7%2F24", http.StatusUnprocessableEntity) // is no network
	unban(browser, at, "prefix=0.0.0.0%2F0", http.StatusUnprocessableEntity)    // ends all there are
	unban(browser, at, "prefix=96.0.0.0%2F4&force=on", http.StatusSeeOther)
	unban(forwarded, "http://localhost", "prefix=192.0.2.8%2F32", http.StatusSeeOther)
	if err := admin.NewClient(filepath.Join(r.dir, "run", "admin.sock")).Do(t.Context(), http.MethodDelete, "/bans?prefix=192.0.2.9%2F32", nil, nil); err != nil {
		t.Error(err)
	}
	if n := r.server.bans.keeper.Stats().InForce.Hand; n != 0 {
		t.Errorf("%d bans are left", n)
	}

	var found []map[string]any
	for line := range strings.Lines(log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields["msg"] == admin.AuditMessage {
			found = append(found, fields)
		}
	}
	all := r.server.connections.all()
	if len(all) != 1 {
		t.Fatalf("%d connections", len(all))
	}
	operator := map[string]any{"via": "admin listener", "subject": "CN=ops", "serial": identity.Serial(leaf.Cert), "issuer": identity.Issuer(leaf.Cert),
		"client_ip": "127.0.0.1", "conn_trace_id": all[0].traceID}
	caller := map[string]any{"via": "admin socket", "uid": float64(os.Getuid()), "gid": float64(os.Getgid()), "pid": float64(os.Getpid())}
	want := []map[string]any{
		{"prefix": "192.0.2.7/32", "lifted": 1., "outcome": "done"},
		{"prefix": "192.0.2.7/32", "lifted": 0., "outcome": "done"},
		{"prefix": "192.0.2.7/24", "lifted": 0., "outcome": "failed",
			"cause": "192.0.2.7/24 is an address within a network: want 192.0.2.0/24 for the network, or 192.0.2.7 for the address alone"},
		{"prefix": "0.0.0.0/0", "lifted": 0., "outcome": "failed"},
		{"prefix": "96.0.0.0/4", "lifted": 1., "outcome": "done"},
		{"prefix": "192.0.2.8/32", "lifted": 1., "outcome": "done"},
		{"prefix": "192.0.2.9/32", "lifted": 1., "outcome": "done"},
	}
	if len(found) != len(want) {
		t.Fatalf("logged %v, want %d records", found, len(want))
	}
	for i, record := range found {
		maps.Copy(want[i], map[string]any{"action": "unban"})
		if i < 5 {
			maps.Copy(want[i], operator)
		} else {
			maps.Copy(want[i], caller)
		}
		for key, value := range want[i] {
			if record[key] != value {
				t.Errorf("record %d: %s is %v, want %v", i, key, record[key], value)
			}
		}
	}

	r.await("five requests logged", func() bool {
		text, _ := os.ReadFile(filepath.Join(r.dir, "access.log"))
		return bytes.Count(text, []byte("\n")) == 5
	})
	request := r.accessLine() // the last
	for key, want := range map[string]any{
		"conn_trace_id": all[0].traceID, "listener": adminListenerName, "type": "https", "elb_status_code": 303.,
		"request": "POST " + at + "/page/unban HTTP/1.1",
	} {
		if request[key] != want {
			t.Errorf("access log: %s is %v, want %v", key, request[key], want)
		}
	}
	if sent, received := request["sent_bytes"].(float64), request["received_bytes"].(float64); sent < 100 || received < 100 {
		t.Errorf("access log: %v bytes sent, %v received", sent, received)
	}
}

// TestPageOfAConnectionThatEnds has requests on a connection that is to end for its
// client's sake, or is to end only when it is idle, or whose page a reload took away.
func TestPageOfAConnectionThatEnds(t *testing.T) {
	end := func(e connlog.End) *connlog.End { return &e }
	for name, test := range map[string]struct {
		ending *connlog.End
		gone   bool
		want   int
	}{
		"stays":          {nil, false, http.StatusOK},
		"revoked":        {end(connlog.Revoked), false, http.StatusMisdirectedRequest},
		"expired":        {end(connlog.Expired), false, http.StatusMisdirectedRequest},
		"policy changed": {end(connlog.PolicyChanged), false, http.StatusMisdirectedRequest},
		"drained":        {end(connlog.Drained), false, http.StatusOK},
		"no page":        {nil, true, http.StatusMisdirectedRequest},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			access := &pageAccess{http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ })}
			if test.gone {
				access = nil
			}
			c := &Conn{socket: &socket{}, traceID: "TID_1"}
			c.socket.policy.Store(&policy{page: access})
			c.ending.Store(test.ending)
			w := httptest.NewRecorder()
			c.page(w, httptest.NewRequest("GET", "/", nil))
			refused := test.want != http.StatusOK
			if w.Code != test.want || (asked == 0) != refused || (w.Header().Get("Connection") == "close") != refused {
				t.Errorf("status %d, asked %d times, %v", w.Code, asked, w.Header())
			}
		})
	}
}
