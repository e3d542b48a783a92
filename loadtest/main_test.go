package loadtest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childRole is the variable that makes this binary a child of a test.
const childRole = "LOADTEST_CHILD"

const (
	roleParent = "parent" // uses no CPU time, and has a burner below it
	roleBurner = "burner"
)

// burst is how much CPU time a burner uses for each byte that it is sent.
const burst = 20 * time.Millisecond

func TestMain(m *testing.M) {
	var err error
	switch role := os.Getenv(childRole); role {
	case "":
		goleak.VerifyTestMain(m)
		return
	case roleParent:
		err = beParent()
	case roleBurner:
		err = beBurner()
	default:
		err = fmt.Errorf("%s %q: want %s or %s", childRole, role, roleParent, roleBurner)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func beParent() error {
	child, err := child(roleBurner)
	if err != nil {
		return err
	}
	child.Stdin, child.Stdout = os.Stdin, os.Stdout
	return child.Run()
}

// beBurner answers each byte with itself, once it has used a burst.
func beBurner() error {
	var b [1]byte
	for {
		if _, err := io.ReadFull(os.Stdin, b[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		used := func() time.Duration {
			u := ownUsage()
			return fromTimeval(u.Utime) + fromTimeval(u.Stime)
		}
		for until := used() + burst; used() < until; {
		}
		if _, err := os.Stdout.Write(b[:]); err != nil {
			return err
		}
	}
}

// child is this binary in another role.
func child(role string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command(self)
	c.Env = append(os.Environ(), childRole+"="+role)
	c.Stderr = os.Stderr
	return c, nil
}
