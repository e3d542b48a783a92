package edge

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport/sallyport/edge/admin"
)

// patientTarget answers checks with a status that the test sets, and requests with
// its name; /wait answers when the gate is opened.
type patientTarget struct {
	*httptest.Server
	status atomic.Int32
	checks atomic.Int32
	gate   chan struct{}
}

func newTarget(t *testing.T, name string) *patientTarget {
	t.Helper()
	p := &patientTarget{gate: make(chan struct{})}
	p.status.Store(200)
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			p.checks.Add(1)
			w.WriteHeader(int(p.status.Load()))
		case "/wait":
			http.NewResponseController(w).Flush()
			<-p.gate
		case "/broken":
			w.WriteHeader(http.StatusBadGateway)
		}
		io.WriteString(w, name)
	}))
	return p
}

// balanced is a configuration of one plain listener, and of a target group app with
// these keys.
func (r *rig) balanced(keys, listener string) {
	r.t.Helper()
	r.write("sallyport.yaml", fmt.Appendf(nil, `
state_dir: state
admin: {socket: run/admin.sock}
logs: {health_check: {file: health.log, format: json}, access: {file: access.log}}
target_groups:
  app:
%s
listeners: {plain: {address: "127.0.0.1:0", protocol: http, %s}}
`, indented(strings.Split(keys, "\n")), listener))
}

const toApp = "default_action: {forward: app}"

// get makes one request on a connection of its own.
func (r *rig) get(path string) (int, string) {
	r.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Get("http://" + r.address("plain") + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// shownTargets are those of status, by their URL.
func (r *rig) shownTargets() map[string]admin.Target {
	shown := map[string]admin.Target{}
	for _, t := range (adminView{r.server}).Status().Targets {
		shown[t.Target] = t
	}
	return shown
}

func (r *rig) awaitState(target, state string) {
	r.t.Helper()
	r.await(target+" "+state, func() bool { return r.shownTargets()[target].State == state })
}

func (r *rig) scrape() string {
	w := httptest.NewRecorder()
	r.server.metrics.handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// wantMetric wants a line of the metrics.
func (r *rig) wantMetric(line string) {
	r.t.Helper()
	if text := r.scrape(); !strings.Contains(text, "\n"+line+"\n") {
		for had := range strings.Lines(text) {
			if name, _, _ := strings.Cut(line, "{"); strings.HasPrefix(had, name) {
				r.t.Log(strings.TrimSpace(had))
			}
		}
		r.t.Errorf("no metric %s", line)
	}
}

// A reload keeps what is known of the targets that stay, also where their group is
// made anew; one that is taken out is draining while it has requests.
func TestHealthOverReload(t *testing.T) {
	r := newRig(t)
	one, two, three := newTarget(t, "one"), newTarget(t, "two"), newTarget(t, "three")
	for _, p := range []*patientTarget{one, three} {
		p.Start()
		t.Cleanup(p.Close)
	}
	two.StartTLS()
	t.Cleanup(two.Close)
	r.write("targets.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: two.Certificate().Raw}))
	keys := func(targets ...string) string {
		return fmt.Sprintf("targets: [%s]\nhttps: {ca: targets.pem, server_name: example.com}\nhealth_check: {path: /healthz, interval: 1h, timeout: 25s, healthy_threshold: 1}", strings.Join(targets, ", "))
	}
	r.balanced(keys(one.URL, two.URL), toApp)
	r.run()
	r.awaitState(one.URL, "healthy")
	r.awaitState(two.URL, "healthy")
	before, group := r.shownTargets(), r.server.generation.Load().health["app"]
	if err := r.server.Reload(); err != nil {
		t.Fatal(err)
	}
	if r.server.generation.Load().health["app"] != group {
		t.Error("a group that has not changed was made anew")
	}
	r.write("targets.pem", append([]byte(r.text("targets.pem")), "and a remark\n"...))
	if err := r.server.Reload(); err != nil {
		t.Fatal(err)
	}
	if r.server.generation.Load().health["app"] == group {
		t.Error("a group whose CA file has changed was not made anew")
	}
	for url, was := range before {
		if is := r.shownTargets()[url]; is.State != "healthy" || !is.Since.Equal(was.Since) || !is.LastCheck.Time.Equal(was.LastCheck.Time) {
			t.Errorf("%s: %+v, before %+v", url, is, was)
		}
	}

	waiting := make(chan string, 2)
	for range 2 { // one for each target
		go func() { _, body := r.get("/wait"); waiting <- body }()
	}
	r.await("under way", func() bool { return r.shownTargets()[one.URL].Requests == 1 && r.shownTargets()[two.URL].Requests == 1 })
	r.balanced(keys(three.URL, two.URL), toApp)
	if err := r.server.Reload(); err != nil {
		t.Fatal(err)
	}
	r.awaitState(three.URL, "healthy")
	shown := r.shownTargets()
	if is := shown[one.URL]; is.State != "draining" || is.Reason != "Target.DeregistrationInProgress" || is.Requests != 1 || len(shown) != 3 {
		t.Errorf("what was taken out: %+v", is)
	}
	if is := shown[two.URL]; is.State != "healthy" || is.Requests != 1 || !is.Since.Equal(before[two.URL].Since) {
		t.Errorf("what stayed: %+v", is)
	}
	r.wantMetric(`sallyport_targets{state="draining",target_group="app"} 1`)
	close(one.gate)
	close(two.gate)
	for range 2 {
		if body := <-waiting; body != "one" && body != "two" {
			t.Errorf("a request under way ended with %q", body)
		}
	}
	r.await("drained", func() bool { return len(r.shownTargets()) == 2 })
	if one.checks.Load() != 1 || two.checks.Load() != 1 || three.checks.Load() != 1 {
		t.Errorf("%d, %d and %d checks in an hour", one.checks.Load(), two.checks.Load(), three.checks.Load())
	}
	r.await("logged", func() bool { return strings.Count(r.text("health.log"), "\n") == 3 })
	if log := r.text("health.log"); strings.Count(log, `"status":"PASS","status_code":200,"reason_code":null,"elb":"app/sallyport/0000000000000000","ip_address":"127.0.0.1"`) != 3 ||
		strings.Count(log, `{"type":"https",`) != 1 {
		t.Errorf("health-check log:\n%s", log)
	}
}

// Reloads that follow each other at once do not keep a target healthy that hangs,
// whether they change its group or not.
func TestReloadsDoNotHideADeadTarget(t *testing.T) {
	for _, changing := range []bool{false, true} {
		r := newRig(t)
		var hangs atomic.Bool
		s := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if hangs.Load() {
				<-r.Context().Done()
			}
		}))
		t.Cleanup(s.Close)
		r.write("targets.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
		reloads := 0
		configure := func() {
			keys := fmt.Sprintf("targets: [%s]\nhttps: {ca: targets.pem, server_name: example.com}\nhealth_check: {interval: 2s, timeout: 1s}", s.URL)
			if changing {
				keys += fmt.Sprintf("\ntimeouts: {response: %ds}", 10+reloads%2)
			}
			r.balanced(keys, toApp)
		}
		configure()
		r.run()
		r.awaitState(s.URL, "healthy")
		hangs.Store(true)
		r.await("unhealthy", func() bool {
			reloads++
			configure()
			if err := r.server.Reload(); err != nil {
				t.Fatal(err)
			}
			return r.shownTargets()[s.URL].State == "unhealthy"
		})
		if is := r.shownTargets()[s.URL]; is.Reason != "Target.Timeout" || reloads < 10 {
			t.Errorf("after %d reloads: %+v", reloads, is)
		}
	}
}

func (r *rig) text(name string) string {
	data, _ := os.ReadFile(filepath.Join(r.dir, name))
	return string(data)
}

// What becomes of requests when no target is healthy is as configured, is counted,
// and is over when one is healthy again.
func TestNoHealthyTarget(t *testing.T) {
	for _, mode := range []string{"fail_open", "fail_closed"} {
		t.Run(mode, func(t *testing.T) {
			r, one, two := newRig(t), newTarget(t, "one"), newTarget(t, "two")
			for _, p := range []*patientTarget{one, two} {
				p.Start()
				t.Cleanup(p.Close)
				p.status.Store(503)
			}
			r.balanced(fmt.Sprintf("targets: [%s, %s]\nhealth_check: {path: /healthz, interval: 100ms, healthy_threshold: 1, unhealthy_threshold: 1, all_unhealthy: %s}", one.URL, two.URL, mode), toApp)
			r.run()
			r.awaitState(one.URL, "unhealthy")
			r.awaitState(two.URL, "unhealthy")
			if is := r.shownTargets()[one.URL]; is.Reason != "Target.ResponseCodeMismatch" || is.Description != "Health checks failed with these codes: [503]" || is.LastCheck.ReasonCode != "TargetError" || *is.LastCheck.StatusCode != 503 {
				t.Errorf("unhealthy: %+v, %+v", is, is.LastCheck)
			}
			status, body := r.get("/")
			problems := strings.Join((adminView{r.server}).Status().Problems, "\n")
			if mode == "fail_open" {
				if status != 200 || !strings.Contains(problems, "target group app: no target is healthy: requests go to all of them") {
					t.Errorf("got %d %q; to look at: %s", status, body, problems)
				}
				r.wantMetric(`sallyport_target_group_failed_open_total{target_group="app"} 1`)
			} else {
				if status != 503 || !strings.Contains(problems, "target group app: no target is healthy: requests are refused") {
					t.Errorf("got %d %q; to look at: %s", status, body, problems)
				}
				r.wantMetric(`sallyport_target_group_failed_open_total{target_group="app"} 0`)
				r.await("logged", func() bool { return strings.Contains(r.text("access.log"), `"error_reason":"NoHealthyTarget"`) })
			}
			r.wantMetric(`sallyport_targets{state="unhealthy",target_group="app"} 2`)
			two.status.Store(200)
			r.awaitState(two.URL, "healthy")
			for range 4 {
				if status, body := r.get("/"); status != 200 || body != "two" {
					t.Errorf("got %d %q, want the healthy one", status, body)
				}
			}
			r.wantMetric(`sallyport_targets{state="healthy",target_group="app"} 1`)
			problems = strings.Join((adminView{r.server}).Status().Problems, "\n")
			if problems != "target group app: 1 of 2 targets unhealthy" {
				t.Errorf("to look at: %s", problems)
			}
		})
	}
}

// A group that nothing forwards to is unused, and not checked until something does.
func TestUnusedTargets(t *testing.T) {
	r, one := newRig(t), newTarget(t, "one")
	one.Start()
	t.Cleanup(one.Close)
	keys := fmt.Sprintf("targets: [%s]\nhealth_check: {path: /healthz, interval: 100ms}", one.URL)
	r.balanced(keys, "default_action: {fixed_response: {status_code: 200}}")
	r.run()
	is := r.shownTargets()[one.URL]
	if is.State != "unused" || is.Reason != "Target.NotInUse" || is.Description == "" {
		t.Errorf("%+v", is)
	}
	r.wantMetric(`sallyport_targets{state="unused",target_group="app"} 1`)
	r.balanced(keys, toApp)
	if err := r.server.Reload(); err != nil {
		t.Fatal(err)
	}
	r.awaitState(one.URL, "healthy")
	r.balanced(keys, "default_action: {fixed_response: {status_code: 200}}")
	if err := r.server.Reload(); err != nil {
		t.Fatal(err)
	}
	r.awaitState(one.URL, "unused")
	if n := len(r.server.tasks.running); n > 2 { // the logs
		t.Errorf("%d tasks run on", n)
	}
}

// Targets are not checked unless the configuration says so, and are ejected only
// for what they do to requests.
func TestEjectedTarget(t *testing.T) {
	r, one, two := newRig(t), newTarget(t, "one"), newTarget(t, "two")
	for _, p := range []*patientTarget{one, two} {
		p.Start()
		t.Cleanup(p.Close)
	}
	targets := fmt.Sprintf("targets: [%s, %s]", one.URL, two.URL)
	r.balanced(targets, toApp)
	r.run()
	for range 20 {
		r.get("/broken")
	}
	for url, is := range r.shownTargets() {
		if is.State != "unavailable" || is.Reason != "Target.HealthCheckDisabled" || !is.EjectedUntil.IsZero() {
			t.Errorf("%s, unasked: %+v", url, is)
		}
	}
	r.balanced(targets+"\nhealth_check: {enabled: false, passive: {failures: 3, for: 1h}}", toApp)
	if err := r.server.Reload(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		r.get("/broken")
	}
	ejected, last := one, two
	if r.shownTargets()[one.URL].EjectedUntil.IsZero() {
		ejected, last = two, one
	}
	if shown := r.shownTargets(); shown[ejected.URL].EjectedUntil.IsZero() || !shown[last.URL].EjectedUntil.IsZero() {
		t.Errorf("%+v", shown)
	}
	for range 4 {
		if _, body := r.get("/"); body != map[*patientTarget]string{one: "one", two: "two"}[last] {
			t.Errorf("%q answered", body)
		}
	}
	r.wantMetric(`sallyport_targets_ejected{target_group="app"} 1`)
	r.wantMetric(`sallyport_target_ejections_total{target_group="app"} 1`)
	if one.checks.Load()+two.checks.Load() != 0 {
		t.Error("checks that nobody asked for")
	}
}
