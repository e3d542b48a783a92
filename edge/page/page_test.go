package page

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sallyport/sallyport/edge/reason"
)

// now is the time of all snapshots.
var now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// fake is an edge of which the test says how it is.
type fake struct {
	mu       sync.Mutex
	snapshot Snapshot
	unbanned []netip.Prefix
	forced   bool
	refuse   error
}

func (f *fake) Snapshot() Snapshot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.snapshot
}

func (*fake) Wide(p netip.Prefix) bool { return p.Bits() < 8 }

func (f *fake) Unban(_ context.Context, p netip.Prefix, force bool) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forced = force
	if f.refuse != nil {
		return 0, f.refuse
	}
	f.unbanned = append(f.unbanned, p)
	f.snapshot.Bans = nil
	f.snapshot.BansInForce = 0
	return 1, nil
}

func (f *fake) change(how func(*Snapshot)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	how(&f.snapshot)
}

const hostile = `CN=<img src=x onerror=alert(1)>"'`

func busy() *fake {
	return &fake{snapshot: Snapshot{
		Name: "app/edge/1", Version: "1.2.3", State: "ready", Started: now.Add(-time.Hour),
		Problems:  []string{"trust store partners: " + hostile},
		Listeners: []Listener{{"public", "0.0.0.0:443", "verify", "partners", 12345}},
		History: History{Times: []int64{now.Unix() - 10, now.Unix()}, Series: []Series{
			{"Success", []uint64{7, 9}}, {"ClientCertExpired", []uint64{0, 3}}}},
		Failing: []Failing{{netip.MustParseAddr("192.0.2.7"), 42, []string{"ClientCertMissing", "ClientCertExpired"}, now.Add(-90 * time.Second), hostile}},
		Bans: []Ban{{Prefix: netip.MustParsePrefix("192.0.2.7/32"), Why: "10 failures", By: "policy", Since: now.Add(-time.Minute),
			Until: now.Add(9 * time.Minute), Packets: 77}},
		BansInForce: 3, BanDatapath: "xdp",
		TrustStores: []TrustStore{{"partners", 4, []Dated{{"CN=Root", now.AddDate(1, 0, 0)}},
			[]CRL{{"CN=Root", "17", 1000, now.Add(-time.Hour), now.Add(23 * time.Hour)}, {"CN=Old", "1", 0, now.Add(-48 * time.Hour), now.Add(-time.Hour)}}, nil,
			[]Source{{"http://crl.example/ca.crl", now.Add(-5 * time.Minute), now.Add(10 * time.Minute), hostile}, {URL: "http://crl.example/never.crl"}}}},
		Certificates: []Certificate{{"api", "api.example.com", "file", "", now.AddDate(0, 0, 10)}},
		Plugins:      []Plugin{{"ou-policy", "ready", "", 1000, 3, 1}},
		Targets:      []Target{{"app", "http://10.0.0.5:8080", "unhealthy", "Target.Timeout: Request timed out", now.Add(-3 * time.Minute), 2}},
	}}
}

func handler(f *fake) http.Handler { return handlerFor(f, Access{Actions: true}) }

func handlerFor(f *fake, a Access) http.Handler {
	return New(f, slog.New(slog.DiscardHandler), func() time.Time { return now }).Handler(a)
}

func ask(h http.Handler, method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "localhost:8443"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestPage(t *testing.T) {
	w := ask(handler(busy()), "GET", "/", nil)
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("status %d, header %v", w.Code, w.Header())
	}
	body := w.Body.String()
	for _, want := range []string{"app/edge/1", "12345", "192.0.2.7", "42", "ClientCertMissing, ClientCertExpired", "90 s ago", "9 min",
		`<b class="good">23 h</b>`, `<b class="bad">over since 60 min</b>`, `<b class="warn">10 days</b>`, "ou-policy", "Target.Timeout", `<b class="bad">unhealthy</b>`, "3 min ago"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(body, "<img") {
		t.Error("what a client presented is markup on the page")
	}
	if w := ask(handler(&fake{}), "GET", "/", nil); w.Code != http.StatusOK {
		t.Errorf("an edge with nothing to show: status %d", w.Code)
	}
}

func TestWhoMayAsk(t *testing.T) {
	post := func(change func(*http.Request)) func(*http.Request) {
		return func(r *http.Request) {
			r.URL.RawQuery = "" // the form is in the body
			*r = *httptest.NewRequest("POST", "/page/unban", strings.NewReader("prefix=192.0.2.7%2F32"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Host = "localhost:8443"
			change(r)
		}
	}
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	for _, c := range []struct {
		name   string
		method string
		change func(*http.Request)
		want   int
	}{
		{"localhost", "GET", host("localhost:1"), http.StatusOK},
		{"an address", "GET", host("192.0.2.1"), http.StatusOK},
		{"an IPv6 address", "GET", host("[2001:db8::1]:443"), http.StatusOK},
		{"a name that was given", "GET", host("Edge.example.com:8443"), http.StatusOK},
		{"a name that leads here", "GET", host("evil.example:8443"), http.StatusMisdirectedRequest},
		{"no name", "GET", host(""), http.StatusMisdirectedRequest},
		{"its own form", "POST", post(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }), http.StatusSeeOther},
		{"another site's form", "POST", post(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }), http.StatusForbidden},
		{"another site's, in an old browser", "POST", post(func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }), http.StatusForbidden},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := busy()
			w := ask(handlerFor(f, Access{true, func(name string) bool { return strings.EqualFold(name, "edge.example.com") }}), c.method, "/", c.change)
			if w.Code != c.want {
				t.Errorf("status %d, want %d", w.Code, c.want)
			}
			if done := len(f.unbanned) == 1; done != (c.want == http.StatusSeeOther) {
				t.Errorf("unbanned %v", f.unbanned)
			}
		})
	}
}

// Who may only look has no button, neither on the page nor in what follows, and no
// use of sending what it would send.
func TestLookOnly(t *testing.T) {
	f := busy()
	h := handlerFor(f, Access{})
	if w := ask(h, "GET", "/", nil); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "<form") || !strings.Contains(w.Body.String(), "192.0.2.7/32") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
	w := ask(h, "POST", "/page/unban", func(r *http.Request) {
		*r = *httptest.NewRequest("POST", "/page/unban", strings.NewReader("prefix=192.0.2.7%2F32"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Host = "localhost"
	})
	if w.Code != http.StatusNotFound || len(f.unbanned) > 0 {
		t.Errorf("status %d, unbanned %v", w.Code, f.unbanned)
	}
	p := New(f, slog.New(slog.DiscardHandler), func() time.Time { return now })
	for _, actions := range []bool{false, true} {
		event, err := p.update(map[string]string{}, Access{Actions: actions})
		if err != nil || strings.Contains(string(event), "Unban") != actions {
			t.Errorf("actions %v: %v, %s", actions, err, event)
		}
	}
}

func TestUnbanRefuses(t *testing.T) {
	for body, want := range map[string]int{
		"prefix=nonsense":             http.StatusBadRequest,
		"":                            http.StatusBadRequest,
		"prefix=192.0.2.7%2F32":       http.StatusUnprocessableEntity,
		strings.Repeat("x=1&", 10000): http.StatusBadRequest,
	} {
		f := &fake{refuse: errors.New("no such ban")}
		r := httptest.NewRequest("POST", "/page/unban", strings.NewReader(body))
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		handler(f).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%.20q: status %d, want %d", body, w.Code, want)
		}
	}
}

// Only what has changed is sent again.
func TestUpdate(t *testing.T) {
	f := busy()
	p := New(f, slog.New(slog.DiscardHandler), func() time.Time { return now })
	sent := map[string]string{}
	read := func() update {
		t.Helper()
		text, err := p.update(sent, Access{Actions: true})
		var u update
		if err == nil {
			err = json.Unmarshal(text, &u)
		}
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	if u := read(); len(u.Sections) != len(sections) || len(u.History.Series) != 2 {
		t.Errorf("first: %d sections and %d series", len(u.Sections), len(u.History.Series))
	}
	f.snapshot.BansInForce = 4
	p.taken = time.Time{}
	if u := read(); len(u.Sections) != 1 || !strings.Contains(u.Sections["bans"], "4 in force") {
		t.Errorf("then: %v", u.Sections)
	}
}

func TestRecorder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRecorder()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { r.Run(ctx); close(ended) }()
		for range Steps + 5 {
			r.Count(reason.ClientCertExpired)
			r.Count(reason.Code(250))
			time.Sleep(Step) // of the bubble
			synctest.Wait()
		}
		h := r.History()
		if len(h.Times) != Steps || len(h.Series) != 2 || h.Series[0].Code != "Success" || h.Series[1].Code != "ClientCertExpired" {
			t.Fatalf("%d steps, %+v", len(h.Times), h.Series)
		}
		for i, n := range h.Series[1].Counts {
			if n != 1 || h.Series[0].Counts[i] != 0 || i > 0 && h.Times[i]-h.Times[i-1] != 10 {
				t.Fatalf("step %d at %d: %d failures, %d successes", i, h.Times[i], n, h.Series[0].Counts[i])
			}
		}
		cancel()
		<-ended
	})
}

// TestPageInBrowser has a browser, at the width of a desktop and of a telephone,
// show the page, follow a change and end a ban. SCREENSHOT=DIR keeps pictures.
func TestPageInBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is missing, and CI must not skip")
		}
		t.Skip("chromium is not installed")
	}
	for name, width := range map[string]int64{"desktop": 1280, "phone": 390} {
		t.Run(name, func(t *testing.T) {
			f := busy()
			f.change(func(s *Snapshot) { // names are the operator's, and may be long
				long := strings.Repeat("partners", 25)
				s.Name, s.Listeners[0].Name, s.TrustStores[0].Name, s.Certificates[0].Name, s.Targets[0].Group = "app/"+long+"/1", long, long, long, long
			})
			server := httptest.NewServer(handler(f))
			defer server.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
				chromedp.ExecPath(chromium), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU)...)
			defer cancel()
			ctx, cancel = chromedp.NewContext(ctx)
			defer cancel()
			browse(t, ctx, chromedp.EmulateViewport(width, 900))
			browse(t, ctx, chromedp.Navigate(server.URL))
			browse(t, ctx, chromedp.WaitVisible(chromedp.CSS("#connection.good")))
			browse(t, ctx, chromedp.WaitVisible(chromedp.CSS("#chart canvas")))
			overflow := browse(t, ctx, chromedp.Evaluate[bool]("document.documentElement.scrollWidth > innerWidth"))
			picture := browse(t, ctx, chromedp.FullScreenshot(100))
			f.change(func(s *Snapshot) { s.Failing = nil })
			browse(t, ctx, chromedp.WaitVisible(chromedp.CSS("#failing > p")))
			browse(t, ctx, chromedp.Click(chromedp.CSS("#bans button")))
			browse(t, ctx, chromedp.WaitNotPresent(chromedp.CSS("#bans button")))
			if overflow {
				t.Error("the page is wider than the screen")
			}
			if len(f.unbanned) != 1 || f.unbanned[0].String() != "192.0.2.7/32" {
				t.Errorf("unbanned %v", f.unbanned)
			}
			if dir := os.Getenv("SCREENSHOT"); dir != "" {
				if err := os.WriteFile(dir+"/"+name+".png", picture, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// browse has the browser do one thing.
func browse[T any](t *testing.T, ctx context.Context, action chromedp.Action[T]) T {
	t.Helper()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
