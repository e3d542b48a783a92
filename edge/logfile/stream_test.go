package logfile

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// The test binary is also the process whose standard output is tested: it logs
// there by two files and by itself, then ends; and one that runs a log until it is
// killed.
func TestMain(m *testing.M) {
	if name := os.Getenv("LOGFILE_TEST_ROTATED"); name != "" {
		f, err := New(rotated(name))
		if err == nil {
			f.settle = 0
			err = f.Run(context.Background())
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if os.Getenv("LOGFILE_TEST_STREAM") == "" {
		os.Exit(m.Run())
	}
	for range 2 {
		f, err := Open("/dev/stdout")
		if err == nil {
			f.Write([]byte("before"))
			err = f.Reopen()
		}
		if err == nil {
			f.Write([]byte("after"))
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			err = f.Run(ctx)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println("still open")
	}
	os.Exit(0)
}

func TestStandardOutput(t *testing.T) {
	const want = "before\nafter\nstill open\nbefore\nafter\nstill open\n"
	run := func(t *testing.T, out *os.File) {
		t.Helper()
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), self)
		cmd.Env = append(os.Environ(), "LOGFILE_TEST_STREAM=1")
		cmd.Stdout = out
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(t *testing.T, r io.Reader) {
		t.Helper()
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}

	t.Run("pipe", func(t *testing.T) {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		run(t, w)
		check(t, r)
	})
	t.Run("socket", func(t *testing.T) { // as under systemd
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		near := os.NewFile(uintptr(fds[0]), "near")
		defer near.Close()
		run(t, os.NewFile(uintptr(fds[1]), "far"))
		conn, err := net.FileConn(near)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		check(t, conn)
	})
	t.Run("file with one offset", func(t *testing.T) { // > FILE, not >> FILE
		name := filepath.Join(t.TempDir(), "out")
		w, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		run(t, w)
		r, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		check(t, r)
	})
}
