package peers

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// newLoopback is an IPv4 loopback address that nobody else is likely to use. A
// server reads its files before it binds the port that was found free for it, and
// HAProxy would share one with the HAProxy of another run: on an address that all
// use, that happens.
func newLoopback() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}

// hostAt is an address on this machine by the name in the certificate.
func hostAt(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return net.JoinHostPort(serverName, port)
}
