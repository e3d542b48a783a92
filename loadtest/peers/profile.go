package peers

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// profileEach is how long Sallyport is profiled in a window at most, so that no
// scenario outweighs the others where their profiles are merged.
const profileEach = 5 * time.Second

// profiling is a CPU profile that Sallyport is making of itself.
type profiling struct {
	cancel context.CancelFunc
	done   chan struct{} // closed once err is valid
	err    error
}

// profile begins to write a CPU profile of a Sallyport under load to the folder
// of Options.Profiles, named by scenario. It is nil where none was asked for.
func (b *bench) profile(ctx context.Context, s *server, sc *scenario, r *running, length time.Duration) *profiling {
	if b.Profiles == "" || s.kind != sallyport {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &profiling{cancel: cancel, done: make(chan struct{})}
	seconds := int(min(length, profileEach).Round(time.Second) / time.Second)
	file := filepath.Join(b.Profiles, profileName(sc.name))
	go func() {
		defer close(p.done)
		p.err = fetchProfile(ctx, filepath.Join(r.site.Dir, "admin", "admin.sock"), max(1, seconds), file)
	}()
	return p
}

// wait returns when the profile is written.
func (p *profiling) wait() error {
	if p == nil {
		return nil
	}
	<-p.done
	return p.err
}

// stop gives the profile up.
func (p *profiling) stop() {
	if p != nil {
		p.cancel()
		<-p.done
	}
}

// profileName is a scenario's name as that of a file.
func profileName(scenario string) string {
	words := strings.FieldsFunc(strings.ToLower(scenario), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "-") + ".pprof"
}

// fetchProfile asks the edge at an admin socket for a CPU profile of some seconds.
func fetchProfile(ctx context.Context, socket string, seconds int, file string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("profile Sallyport: %w", err)
		}
	}()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://sallyport/debug/pprof/profile?seconds=%d", seconds), nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return err
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", response.Status, tail(text))
	}
	return os.WriteFile(file, text, 0o600)
}
