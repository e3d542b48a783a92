package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// beside serves decisions at a unix socket, and runs the server that asks for them
// as its child: so that the CPU time of both is that of one tree. It returns when
// either ends, or when it is told to end.
func beside(socket string, serve func(net.Listener) error, program []string) error {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	defer l.Close()
	// Of nginx as root the worker is somebody else. The directory is ours alone.
	if err := os.Chmod(socket, 0o666); err != nil {
		return err
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	cmd := exec.Command(program[0], program[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", program[0], err)
	}
	served, ended := make(chan error, 1), make(chan error, 1)
	go func() { served <- serve(l) }()
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return errors.Join(errors.New("it ended"), err)
	case err = <-served:
	case <-end:
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	<-ended // else the caller kills the group
	return err
}

// serveAuth answers nginx: 200 and the unit in a header, or 403.
func serveAuth(l net.Listener) error {
	return http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unit, ok := admittedFor(r.Header[unitHeader])
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set(unitHeader, unit)
	}))
}
