package edge

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/edge/ban"
	"github.com/sallyport/sallyport/edge/connlog"
)

// TestUnbanIsLogged has an operator end a ban, and the log say who it was.
func TestUnbanIsLogged(t *testing.T) {
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
	r.write("sallyport.yaml", append(text, "\nban: {mode: enforce, datapath: userspace}\n"...))
	r.run()
	if _, err := r.server.bans.keeper.Ban(netip.MustParsePrefix("192.0.2.7/32"), time.Hour, "test", ban.ByAdmin); err != nil {
		t.Fatal(err)
	}
	client := r.browser(operator(ops, "ops"))
	for range 2 { // the second finds nothing to end
		response, err := client.Post("https://"+r.address(adminListenerName)+"/page/unban", "application/x-www-form-urlencoded", strings.NewReader("prefix=192.0.2.7%2F32"))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusSeeOther {
			t.Errorf("got %s", response.Status)
		}
	}
	var found []map[string]any
	for line := range strings.Lines(log.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields["msg"] == "bans ended on the status page" {
			found = append(found, fields)
		}
	}
	if len(found) != 1 {
		t.Fatalf("logged %v", found)
	}
	all := r.server.connections.all()
	if len(all) != 1 {
		t.Fatalf("%d connections", len(all))
	}
	for key, want := range map[string]any{"prefix": "192.0.2.7/32", "bans": 1., "subject": "CN=ops", "client_ip": "127.0.0.1", "conn_trace_id": all[0].traceID} {
		if found[0][key] != want {
			t.Errorf("%s is %v, want %v", key, found[0][key], want)
		}
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
