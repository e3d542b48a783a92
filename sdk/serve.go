package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// The environment by which the edge tells a plugin where to find it. An operator
// sets the second one, or gives the flag, to run a plugin under a debugger.
const (
	envFD      = "SALLYPORT_PLUGIN_FD"
	envListen  = "SALLYPORT_PLUGIN_LISTEN"
	listenFlag = "-sallyport-listen"
)

// Serve is what a plugin's main function calls: it speaks with the edge until that
// says that no call will follow, and returns. If anything else ends it, it says why
// on standard error and exits with status 1.
//
// With -sallyport-listen PATH among its arguments, or SALLYPORT_PLUGIN_LISTEN=PATH
// in its environment, it listens on a unix socket instead, for an edge that is
// configured to attach to it: start it in a debugger so. It serves one edge after
// the other, until it is killed.
//
// It makes the logger of the plugin slog's default one. Started by hand, it says
// what it is, and exits with status 2.
func Serve(plugin Plugin) {
	if code := serve(plugin, os.Args, os.Stderr); code != 0 {
		os.Exit(code)
	}
}

func serve(plugin Plugin, args []string, stderr io.Writer) (exit int) {
	c, err := examine(plugin)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	fail := func(err error) int {
		fmt.Fprintf(stderr, "%s: %v\n", c.hello.Name, err)
		return 1
	}
	path, err := listenPath(args)
	switch fd := os.Getenv(envFD); {
	case err != nil:
		return fail(err)
	case path != "":
		return fail(serveListener(plugin, path, stderr))
	case fd != "":
		conn, err := inherited(fd)
		if err != nil {
			return fail(err)
		}
		if err := serveProcess(conn, plugin); err != nil {
			return fail(err)
		}
		return 0
	}
	program := args[0]
	fmt.Fprintf(stderr, "%s is a plugin for Sallyport (hooks: %v), and the edge starts it. To try it: sallyport plugin test %s. To debug it: %s %s PATH\n",
		strings.TrimSpace(c.hello.Name+" "+c.hello.Version), c.hello.Hooks, program, program, listenFlag)
	return 2
}

// serveProcess serves a connection that is the whole purpose of the process.
func serveProcess(conn net.Conn, plugin Plugin) error {
	return serveConn(context.Background(), conn, plugin, slog.SetDefault)
}

// listenPath finds where to listen, if anywhere. The flag package is the plugin's.
func listenPath(args []string) (string, error) {
	for i, arg := range args {
		name, path, joined := strings.Cut(strings.TrimPrefix(arg, "-"), "=")
		if i == 0 || "-"+strings.TrimPrefix(name, "-") != listenFlag {
			continue
		}
		if !joined && i+1 < len(args) {
			path = args[i+1]
		}
		if path == "" {
			return "", fmt.Errorf("%s: want the path of a socket", listenFlag)
		}
		return path, nil
	}
	return os.Getenv(envListen), nil
}

// inherited is the socket that the edge has left open for us. Programs that the
// plugin starts do not get it.
func inherited(number string) (net.Conn, error) {
	fd, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: want the number of a file descriptor", envFD, number)
	}
	os.Unsetenv(envFD)
	f := os.NewFile(uintptr(fd), "edge")
	defer f.Close() // FileConn has one of its own.
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("file descriptor %d (%s) is no socket of the edge: %w", fd, envFD, err)
	}
	return conn, nil
}

// serveListener serves edges that come to the plugin.
func serveListener(plugin Plugin, path string, stderr io.Writer) error {
	l, err := listen(path)
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Fprintf(stderr, "listening; in the edge's configuration: attach: %s\n", path)
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		if err := serveProcess(conn, plugin); err != nil {
			fmt.Fprintf(stderr, "connection ended: %v\n", err)
		}
	}
}

// listen makes a socket for nobody but our own user. One that a dead plugin has
// left is replaced; any other file is not.
func listen(path string) (net.Listener, error) {
	switch info, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("listen: %w", err)
	case info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("listen on %s: it is there, and no socket", path)
	default:
		if conn, err := net.Dial("unix", path); err == nil {
			conn.Close()
			return nil, fmt.Errorf("listen on %s: somebody listens there", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}
