package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/sallyport/sallyport/loadtest/port"
)

// patience is how long a browser on a slow machine may take.
const patience = 60 * time.Second

// start runs a demo on free ports until the test ends.
func start(t *testing.T) *demo {
	t.Helper()
	free := func() string {
		address, release, err := port.ReserveAddress("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
		return address
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	running := make(chan *demo, 1)
	out := &announce{demo: running}
	o := Options{Dir: t.TempDir(), VerifyAddr: free(), PassthroughAddr: free(), PageAddr: free(), Out: out, Log: slog.New(slog.DiscardHandler)}
	d := &demo{options: o}
	out.of = d
	go func() { ended <- d.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case d := <-running:
		return d
	case err := <-ended:
		ended <- nil
		t.Fatalf("the demo ended: %v", err)
		return nil
	}
}

// announce hands the demo over when it prints what to try, which is when it is
// up.
type announce struct {
	of   *demo
	demo chan<- *demo
	text bytes.Buffer
}

func (a *announce) Write(p []byte) (int, error) {
	if a.text.Len() == 0 {
		defer func() { a.demo <- a.of }()
	}
	return a.text.Write(p)
}

// TestPageInBrowser does what a visitor does: presses the button, calls the edge
// with the certificate it got, and sees on the page what the target received. SCREENSHOT=FILE keeps a picture.
func TestPageInBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("chromium is missing, and CI must not skip")
		}
		t.Skip("chromium is not installed")
	}
	d := start(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true))...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()

	browse(t, ctx, chromedp.Navigate("http://"+d.page.address+"/"))
	browse(t, ctx, chromedp.Click(chromedp.CSS("#generate")))
	browse(t, ctx, chromedp.WaitReady(chromedp.CSS(`[id="private-key.pem"]`)))
	key := browse(t, ctx, chromedp.TextContent(chromedp.CSS(`[id="private-key.pem"]`)))
	certificate := browse(t, ctx, chromedp.TextContent(chromedp.CSS(`[id="certificate.crt"]`)))
	links := browse(t, ctx, chromedp.Evaluate[int](`document.querySelectorAll("a.file[download][href^='blob:']").length`))
	if links != 2 {
		t.Errorf("%d files to download, want private-key.pem and certificate.crt", links)
	}

	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: d.pki.serverCA.Pool(), ServerName: "localhost", Certificates: []tls.Certificate{pair},
	}}}
	defer client.CloseIdleConnections()
	response, err := client.Get("https://" + d.verify + "/from-the-browser-test")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()

	browse(t, ctx, chromedp.WaitVisible(chromedp.CSS("#received tr.mtls")))
	seen := browse(t, ctx, chromedp.Text(chromedp.CSS("#received")))
	if name := os.Getenv("SCREENSHOT"); name != "" {
		if err := os.WriteFile(name, browse(t, ctx, chromedp.FullScreenshot(100)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"GET /from-the-browser-test", "X-Amzn-Mtls-Clientcert-Subject", "CN=demo client 1"} {
		if !strings.Contains(seen, want) {
			t.Errorf("the page does not show %q:\n%s", want, seen)
		}
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

// TestPageGuards has the page called as an attacker's page would.
func TestPageGuards(t *testing.T) {
	d := start(t)
	for name, test := range map[string]struct {
		method, path, host, origin string
		want                       int
	}{
		"by its address":      {"GET", "/", d.page.address, "", 200},
		"by a rebound name":   {"GET", "/", "attacker.example:" + portOf(d.page.address), "", 421},
		"key by rebound name": {"POST", "/certificate", "attacker.example", "", 421},
		"key across origins":  {"POST", "/certificate", d.page.address, "http://attacker.example", 403},
		"key by its own page": {"POST", "/certificate", d.page.address, "http://" + d.page.address, 200},
		"unknown path":        {"GET", "/admin", d.page.address, "", 404},
		"key by GET":          {"GET", "/certificate", d.page.address, "", 405},
	} {
		request, err := http.NewRequest(test.method, "http://"+d.page.address+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = test.host
		if test.origin != "" {
			request.Header.Set("Origin", test.origin)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != test.want {
			t.Errorf("%s: %s, want %d", name, response.Status, test.want)
		}
	}
}

func TestForeignDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/thesis.tex", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := Run(context.Background(), Options{Dir: dir, Out: io.Discard, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("it left %d files there, want the one that was there", len(entries))
	}
}

func TestSecondDemoLeavesTheFirstAlone(t *testing.T) {
	d := start(t)
	before, err := os.ReadFile(d.file("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	o := d.options
	o.VerifyAddr, o.PassthroughAddr, o.PageAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	if err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "runs in it") {
		t.Errorf("a second demo in its directory: %v", err)
	}
	if after, _ := os.ReadFile(d.file("ca.pem")); !bytes.Equal(before, after) {
		t.Error("the first demo's CA is gone")
	}
}

func TestOnceLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var out bytes.Buffer
	err := Run(context.Background(), Options{
		VerifyAddr: "127.0.0.1:0", PassthroughAddr: "127.0.0.1:0", PageAddr: "127.0.0.1:0",
		Once: true, Out: &out, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	if entries, _ := os.ReadDir(os.TempDir()); len(entries) != 0 {
		t.Errorf("%d files left behind", len(entries))
	}
}
