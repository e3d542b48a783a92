package peers

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// Where a child's output goes, in its folder.
const (
	stdoutFile = "stdout"
	stderrFile = "stderr"
)

// startProcess starts a program on a core, with one processor for Go programs.
func startProcess(dir string, c cores, core *int, name string, args ...string) (*benchmark.Process, error) {
	cmd := exec.Command(args[0], args[1:]...)
	for file, stream := range map[string]*io.Writer{stdoutFile: &cmd.Stdout, stderrFile: &cmd.Stderr} {
		f, err := os.Create(filepath.Join(dir, file))
		if err != nil {
			return nil, err
		}
		defer f.Close() // the child has its own
		*stream = f
	}
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	return benchmark.Start(name, cmd, filepath.Join(dir, stderrFile), func(start func() error) error { return c.on(core, start) })
}

// tail is the end of a program's output.
func tail(text []byte) []byte {
	return bytes.TrimSpace(text[max(0, len(text)-2000):])
}

// awaitListening returns once somebody listens at address.
func awaitListening(ctx context.Context, p *benchmark.Process, address string) error {
	return await(ctx, p, startFew, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// await tries until it does without an error.
func await(ctx context.Context, p *benchmark.Process, within time.Duration, try func(context.Context) error) error {
	return p.Await(ctx, within, 20*time.Millisecond, try)
}
