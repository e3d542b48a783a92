package report

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/sallyport/sallyport/loadtest"
)

// patience is how long a browser on a slow machine may take for all pages.
const patience = 120 * time.Second

// browser starts one, or skips the test where there is none.
func browser(t *testing.T) context.Context {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is missing, and CI must not skip")
		}
		t.Skip("chromium is not installed")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true))...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	return ctx
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

// heard is what a page asked for and complained of.
type heard struct {
	mu   sync.Mutex
	what []string
}

func (h *heard) listen(event any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "file:") {
			h.what = append(h.what, "request of "+e.Request.URL)
		}
	case *log.EventEntryAdded:
		h.what = append(h.what, "log: "+e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		h.what = append(h.what, "console: "+string(e.Type))
	case *runtime.EventExceptionThrown:
		h.what = append(h.what, "exception: "+e.ExceptionDetails.Text)
	}
}

// looks are what is measured of a page as it was laid out.
type looks struct {
	Title  string
	Plots  map[string]int // by title, how many lines can be seen
	Faults []string       // texts that touch each other or leave their plot
	Wide   float64        // how far the page is wider than its window
}

const layoutScript = `(() => {
  const plots = {}, faults = [];
  for (const figure of document.querySelectorAll("figure")) {
    const title = figure.querySelector("h3").textContent;
    const drawn = [...figure.querySelectorAll(".series")].filter(s => { const b = s.getBBox(); return b.width + b.height > 0; });
    plots[title] = drawn.length;
    const svg = figure.querySelector("svg.plot");
    if (!svg) continue;
    const frame = svg.getBoundingClientRect();
    const labels = [...svg.querySelectorAll(":scope > text")];
    for (const [i, a] of labels.entries()) {
      const r = a.getBoundingClientRect();
      for (const b of labels.slice(i + 1)) {
        const s = b.getBoundingClientRect();
        if (r.left < s.right && s.left < r.right && r.top + 2 < s.bottom && s.top + 2 < r.bottom) faults.push(title + ": " + a.textContent + " touches " + b.textContent);
      }
    }
    for (const e of svg.querySelectorAll("text, rect.box")) {
      const r = e.getBoundingClientRect();
      if (r.left < frame.left - 1 || r.right > frame.right + 1 || r.top < frame.top - 1 || r.bottom > frame.bottom + 1) faults.push(title + ": leaves its plot: " + e.textContent);
    }
    for (const g of svg.querySelectorAll(".hover > g")) {
      const box = g.querySelector(".box").getBoundingClientRect();
      for (const t of g.querySelectorAll("text")) if (t.getBoundingClientRect().right > box.right) faults.push(title + ": leaves its box: " + t.textContent);
    }
  }
  return { Title: document.title, Plots: plots, Faults: faults.slice(0, 10), Wide: document.documentElement.scrollWidth - innerWidth };
})()`

// TestPageInBrowser has a browser lay out pages, in both colour schemes and on a
// narrow window too. SCREENSHOTS=DIR keeps pictures.
func TestPageInBrowser(t *testing.T) {
	ctx := browser(t)
	var h heard
	if err := chromedp.Listen(ctx, h.listen); err != nil {
		t.Fatal(err)
	}
	all := samples()
	usual := map[string]int{"Latency by percentile": 3, "Rate": 2, "Latency over time": 2, "Refusals and failures": 2, "Open connections": 1, "Server CPU": 1, "Server memory": 1}
	for _, test := range []struct {
		name  string
		rs    []*loadtest.Result
		plots map[string]int
	}{
		{"open", []*loadtest.Result{all["open"]}, usual},
		{"hostile", []*loadtest.Result{all["hostile"]}, usual},
		{"closed", []*loadtest.Result{all["closed"]}, map[string]int{"Latency by percentile": 1, "Rate": 1, "Latency over time": 2, "Refusals and failures": 0, "Open connections": 1}},
		{"one-second", []*loadtest.Result{all["one-second"]}, map[string]int{"Latency by percentile": 3, "Rate": 2, "Latency over time": 2, "Refusals and failures": 0, "Open connections": 1, "Server CPU": 1, "Server memory": 1}},
		{"all-refused", []*loadtest.Result{all["all-refused"]}, map[string]int{"Latency by percentile": 1, "Rate": 2, "Latency over time": 0, "Refusals and failures": 2, "Open connections": 1, "Server CPU": 1, "Server memory": 1}},
		{"nothing", []*loadtest.Result{all["nothing"]}, map[string]int{"Latency by percentile": 0, "Rate": 0, "Latency over time": 0, "Refusals and failures": 0}},
		{"two", []*loadtest.Result{all["open"], sample(0.55)}, map[string]int{"Latency by percentile": 2, "Rate": 4, "Latency over time": 4, "Refusals and failures": 4, "Open connections": 2, "Server CPU": 2, "Server memory": 2}},
		{"many", []*loadtest.Result{all["open"], sample(0.55), sample(3), sample(9), sample(0.1), sample(20), sample(0.01), sample(2)}, map[string]int{"Latency by percentile": 8, "Rate": 16, "Latency over time": 16, "Refusals and failures": 16, "Open connections": 8, "Server CPU": 8, "Server memory": 8}},
	} {
		var out bytes.Buffer
		if err := HTML(&out, test.rs...); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), test.name+".html")
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		title := title(test.rs[0])
		if n := len(test.rs); n > 1 {
			title = map[int]string{2: "2", 8: "8"}[n] + " load runs compared"
		}
		for _, width := range []int64{1360, 390} {
			browse(t, ctx, chromedp.EmulateViewport(width, 900))
			browse(t, ctx, chromedp.Navigate("file://"+file))
			got := browse(t, ctx, chromedp.Evaluate[looks](layoutScript))
			if diff := cmp.Diff(looks{title, test.plots, []string{}, 0}, got); diff != "" {
				t.Errorf("%s, %d pixels wide (-want +got):\n%s", test.name, width, diff)
			}
			for _, scheme := range []string{"light", "dark"} {
				colours(t, ctx, scheme)
				if dir := os.Getenv("SCREENSHOTS"); dir != "" {
					picture := browse(t, ctx, chromedp.FullScreenshot(100))
					name := filepath.Join(dir, test.name+"-"+scheme+map[int64]string{390: "-narrow"}[width]+".png")
					if err := os.WriteFile(name, picture, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.what) > 0 {
		t.Errorf("the pages were not quiet: %q", h.what)
	}
}

// colours sets the scheme that the visitor prefers, and checks that text and
// ground follow it.
func colours(t *testing.T, ctx context.Context, scheme string) {
	t.Helper()
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		t.Fatal(err)
	}
	light := browse(t, ctx, chromedp.Evaluate[bool](`(() => {
	  const sum = colour => colour.match(/\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0);
	  const style = getComputedStyle(document.body);
	  return sum(style.backgroundColor) > sum(style.color) + 300;
	})()`))
	dark := browse(t, ctx, chromedp.Evaluate[bool](`(() => {
	  const sum = colour => colour.match(/\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0);
	  const style = getComputedStyle(document.body);
	  return sum(style.color) > sum(style.backgroundColor) + 300;
	})()`))
	if light != (scheme == "light") || dark != (scheme == "dark") {
		t.Errorf("in scheme %s: light %v, dark %v", scheme, light, dark)
	}
}

// TestHoverShowsFigures points at a plot.
func TestHoverShowsFigures(t *testing.T) {
	ctx := browser(t)
	var out bytes.Buffer
	if err := HTML(&out, sample(1), sample(0.55)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	const shown = `[...document.querySelectorAll(".hover > g")].filter(g => getComputedStyle(g).visibility === "visible").map(g => g.textContent)`
	browse(t, ctx, chromedp.EmulateViewport(1360, 900))
	browse(t, ctx, chromedp.Navigate("file://"+file))
	if got := browse(t, ctx, chromedp.Evaluate[[]string](shown)); len(got) != 0 {
		t.Errorf("shown before anything is pointed at: %q", got)
	}
	at := browse(t, ctx, chromedp.Evaluate[[]float64](`(() => {
	  const band = document.querySelectorAll("figure")[1].querySelectorAll(".band")[12];
	  band.scrollIntoView({block: "center"});
	  const r = band.getBoundingClientRect();
	  return [r.left + r.width / 2, r.top + r.height / 2];
	})()`))
	browse(t, ctx, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0], at[1]))
	got := browse(t, ctx, chromedp.Poll[[]string](`(() => { const s = `+shown+`; return s.length ? s : null; })()`))
	want := []string{"second 12" + "A  2,000/s asked, 900/s done" + "B  2,000/s asked, 900/s done"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "hover.png"), browse(t, ctx, chromedp.CaptureScreenshot()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
