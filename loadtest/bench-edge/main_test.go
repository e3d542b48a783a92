package main

import (
	"fmt"
	"os"
	"testing"
)

// TestMain lets the test binary be the child that the program starts as itself.
func TestMain(m *testing.M) {
	if isChild(os.Args) {
		fmt.Fprintln(os.Stderr, runChild(os.Args[2:]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}
