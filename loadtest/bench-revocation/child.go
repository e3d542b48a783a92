package main

import (
	"fmt"
	"time"
)

// The roles of a child.
const (
	roleOurs   = "ours"   // CRL CA QUERIES DIR LEAST: reads, answers, is asked
	roleAgain  = "again"  // the same, from what the former has kept, and only answers
	roleX509   = "x509"   // CRL CA
	roleMap    = "map"    // ENTRIES QUERIES LEAST
	roleServer = "server" // ADDRESS PKI-DIRECTORY CRL DIR
)

// runChild is the program as a child. A server returns on an error only; a
// signal ends it.
func runChild(role string, args []string) error {
	switch {
	case (role == roleOurs || role == roleAgain) && len(args) == 5:
		least, err := time.ParseDuration(args[4])
		if err != nil {
			return err
		}
		return runOurs(role, args[0], args[1], queries(args[2]), args[3], least)
	case role == roleX509 && len(args) == 2:
		return runX509(args[0], args[1])
	case role == roleMap && len(args) == 3:
		least, err := time.ParseDuration(args[2])
		if err != nil {
			return err
		}
		return runMap(args[0], queries(args[1]), least)
	case role == roleServer && len(args) == 4:
		return runServer(args[0], pkiFiles{dir: args[1]}, args[2], args[3])
	}
	return fmt.Errorf("child's role %q with %d arguments: want one of this program", role, len(args))
}
