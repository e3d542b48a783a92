package edge

import (
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/edge/accesslog"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/logfile"
)

// logsOf is the generation of a configuration in dir with these logs.
func logsOf(t *testing.T, dir, logs string) *generation {
	t.Helper()
	cfg, problems := config.Parse("sallyport.yaml", []byte("logs: "+logs+`
load_balancer: {name: my-edge, id: 50dc6c495c0c9188, account: "123456789012", region: eu-central-1}
listeners: {a: {address: ":80", protocol: http, default_action: {fixed_response: {status_code: 200}}}}
`), dir)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return &generation{cfg: cfg}
}

func TestLogOptions(t *testing.T) {
	for _, test := range []struct {
		logs string
		want logfile.Options // of the connection log, without the host's address
	}{
		{`{connection: {file: a.log}}`, logfile.Options{Name: "/x/a.log"}},
		{`{connection: {stream: stderr, format: json}}`, logfile.Options{Name: "/dev/stderr", JSON: true}},
		{`{connection: {syslog: {}}}`, logfile.Options{Syslog: logfile.Syslog{Network: "unixgram", Address: "/dev/log", Facility: 16, MessageID: "connection"}}},
		{`{connection: {syslog: {address: "tcp://[::1]:601", facility: authpriv}}}`, logfile.Options{Syslog: logfile.Syslog{Network: "tcp", Address: "[::1]:601", Facility: 10, MessageID: "connection"}}},
		{`{connection: {file: a.log, rotate: {every: 1h, compress: none, keep_size: 1GiB}}}`, logfile.Options{Name: "/x/a.log", Rotate: logfile.Rotate{
			Size: 100 << 20, Every: time.Hour, Keep: 7 * 24 * time.Hour, KeepSize: 1 << 30,
			Naming: logfile.Naming{Kind: "conn_log_", Account: "123456789012", Region: "eu-central-1", Name: "my-edge", ID: "50dc6c495c0c9188"},
		}}},
		{`{connection: {file: a.log, rotate: {}}}`, logfile.Options{Name: "/x/a.log", Rotate: logfile.Rotate{
			Size: 100 << 20, Every: 5 * time.Minute, Compress: true, Keep: 7 * 24 * time.Hour,
			Naming: logfile.Naming{Kind: "conn_log_", Account: "123456789012", Region: "eu-central-1", Name: "my-edge", ID: "50dc6c495c0c9188"},
		}}},
	} {
		g := logsOf(t, "/x", test.logs)
		got := g.logOptions(g.logs.wanted(&g.cfg.Logs)[0])
		got.Rotate.Naming.Address = netip.Addr{}
		if diff := cmp.Diff(test.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.logs, diff)
		}
	}
}

// What has not changed is taken over, and nothing stays open of what is refused.
func TestOpenLogs(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	first := logsOf(t, dir, `{connection: {file: a.log}, access: {file: b.log}}`)
	if err := first.openLogs(nil, log); err != nil {
		t.Fatal(err)
	}
	second := logsOf(t, dir, `{connection: {file: a.log}, access: {file: b.log, format: alb}, health_check: {file: absent/c.log}}`)
	if err := second.openLogs(first, log); err == nil || !strings.HasPrefix(err.Error(), "open health_check log: open log file: ") {
		t.Errorf("a folder that is not there: %v", err)
	}
	third := logsOf(t, dir, `{connection: {file: a.log}, access: {file: b.log, format: alb}}`)
	if err := third.openLogs(first, log); err != nil {
		t.Fatal(err)
	}
	if first.logs.connection.file.Options().Log != log {
		t.Error("trouble with a log is not told to the edge's own")
	}
	if third.logs.connection.file != first.logs.connection.file || third.logs.access.file == first.logs.access.file {
		t.Error("want the connection log taken over, and the access log opened for its other form")
	}
	if err := closeLogs([]*logfile.File{first.logs.connection.file, first.logs.access.file, third.logs.access.file}); err != nil {
		t.Fatal(err)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		if name, _ := os.Readlink("/proc/self/fd/" + fd.Name()); strings.HasPrefix(name, dir+"/") {
			t.Errorf("%s stays open", name)
		}
	}
}

func TestLogHealthCheck(t *testing.T) {
	dir := t.TempDir()
	g := logsOf(t, dir, `{health_check: {file: health.log}}`)
	if err := g.openLogs(nil, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	s := &Server{}
	s.generation.Store(g)
	s.LogHealthCheck(&accesslog.HealthCheck{Type: "http", Time: time.Unix(0, 0), Latency: time.Millisecond, Target: "10.0.0.1:80", TargetGroup: "app", Pass: true, StatusCode: 200, HasStatus: true})
	if err := closeLogs([]*logfile.File{g.logs.healthCheck.file}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "health.log"))
	if err != nil {
		t.Fatal(err)
	}
	if want := "http 1970-01-01T00:00:00.000000Z 0.001000000 10.0.0.1:80 app PASS 200 - app/my-edge/50dc6c495c0c9188 -\n"; string(got) != want {
		t.Errorf("got %swant %s", got, want)
	}
	s.generation.Store(&generation{})
	s.LogHealthCheck(&accesslog.HealthCheck{}) // nowhere
}
