package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/sallyport/sallyport/loadtest/benchmark"
)

// The roles of a child.
const (
	roleGood   = "good"   // PLAN: a file with a plan, as JSON
	roleAttack = "attack" // ADDRESS LENGTH AT-ONCE
)

// runChild is the program as a child. It writes what it found as JSON.
func runChild(role string, args []string) error {
	switch {
	case role == roleGood && len(args) == 1:
		r, err := runGood(args[0])
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(r)
	case role == roleAttack && len(args) == 3:
		length, err := time.ParseDuration(args[1])
		if err != nil {
			return fmt.Errorf("length: %w", err)
		}
		atOnce, err := strconv.Atoi(args[2])
		if err != nil {
			return fmt.Errorf("at once: %w", err)
		}
		a, err := runAttack(args[0], length, atOnce)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(a)
	}
	return fmt.Errorf("child's role %q with %d arguments: want one of this program", role, len(args))
}

// child is this program in a role.
type child struct {
	*benchmark.Process
	out *bytes.Buffer
}

// startSelf starts this program as a child in a role, in the namespace and on the
// core of the end.
func (e *end) startSelf(dir string, nice int, role string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	out := new(bytes.Buffer)
	p, err := e.startProcess(dir, role, nice, out, append([]string{self, benchmark.AsChild, role}, args...)...)
	if err != nil {
		return nil, err
	}
	return &child{Process: p, out: out}, nil
}

// result waits for the child's end, and decodes what it wrote.
func (c *child) result(ctx context.Context, into any) error {
	select {
	case <-c.Done:
	case <-ctx.Done():
		c.Stop()
		return ctx.Err()
	}
	if c.Err != nil {
		return fmt.Errorf("%s: %w%s", c.Name, c.Err, c.Said())
	}
	if err := json.Unmarshal(c.out.Bytes(), into); err != nil {
		return fmt.Errorf("%s wrote %.200q: %w", c.Name, c.out, err)
	}
	return nil
}
