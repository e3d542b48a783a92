package main

import (
	"fmt"
	"strconv"
)

// The roles of a child.
const (
	roleTarget = "target" // ADDRESS
	rolePlugin = "plugin" // CONCURRENCY: Sallyport's, in Go
	roleStock  = "stock"  // go-plugin's: GRPC-PLUGIN
	roleEdge   = "edge"   // ADDRESS TARGET PKI-DIRECTORY DECIDER: the stand-in
	roleAuth   = "auth"   // SOCKET PROGRAM ARGUMENTS…: an HTTP server beside nginx
	roleAgent  = "agent"  // SOCKET PROGRAM ARGUMENTS…: an agent of SPOE beside HAProxy
)

// runChild is the program as a child. A server returns on an error only; a
// signal ends it.
func runChild(role string, args []string) error {
	switch {
	case role == roleTarget && len(args) == 1:
		return runTarget(args[0])
	case role == rolePlugin && len(args) == 1:
		concurrency, err := strconv.Atoi(args[0])
		if err != nil {
			return fmt.Errorf("concurrency: %w", err)
		}
		return servePlugin(concurrency)
	case role == roleStock && len(args) == 1:
		return serveStock(args[0])
	case role == roleEdge && len(args) == 4:
		return runEdge(args[0], args[1], pkiFiles{args[2]}, args[3])
	case role == roleAuth && len(args) >= 2:
		return beside(args[0], serveAuth, args[1:])
	case role == roleAgent && len(args) >= 2:
		return beside(args[0], serveAgent, args[1:])
	}
	return fmt.Errorf("child's role %q with %d arguments: want one of this program", role, len(args))
}
