// Package port finds ports for servers that are told where to listen before they
// do. A port that the kernel gives for ":0" and that is closed again is no such
// port: until the server listens, and each time it starts anew, any connection on
// the machine may get it for its own end, and any listener on ":0".
package port

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
)

const (
	// Browsers refuse to ask some ports, the highest of which is 10080.
	lowest, highest = 10240, 65535
	// enough is how many ports there must be to choose from.
	enough = 1000
	// tries is how many of them may be taken before it is an error.
	tries = 200
)

// held are the claims of this process by their ports: one that nobody knew of any
// more would be closed with the garbage.
var held sync.Map

// Reserve returns a TCP port on which nobody listens at any address. It is outside
// the range that the kernel takes ports from for connections and for ":0", where
// that leaves room; and until release is called or the process ends, no Reserve of
// any process in this network namespace returns it again. What listens there may
// come and go meanwhile.
func Reserve() (number int, release func(), err error) {
	low, high := span()
	for range tries {
		number = low + rand.IntN(high-low+1)
		var hold net.Listener
		if hold, err = claim(number); err != nil {
			continue
		}
		if err = unused(number); err == nil {
			held.Store(number, hold)
			return number, func() {
				if _, ours := held.LoadAndDelete(number); ours {
					hold.Close()
				}
			}, nil
		}
		hold.Close()
	}
	return 0, nil, fmt.Errorf("find a free port of %d to %d: %w", low, high, err)
}

// ReserveAddress is Reserve for a server at a host's address, which is returned with
// the port.
func ReserveAddress(host string) (address string, release func(), err error) {
	number, release, err := Reserve()
	return net.JoinHostPort(host, strconv.Itoa(number)), release, err
}

// claim keeps other processes away from a port: an abstract socket's name belongs to
// the network namespace, as ports do, and the kernel takes it back from the dead.
func claim(number int) (net.Listener, error) {
	return net.Listen("unix", fmt.Sprintf("@sallyport-port-%d", number))
}

// unused fails when somebody listens on a port, whatever the address.
func unused(number int) error {
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", number))
	if err != nil {
		return err
	}
	return l.Close()
}

// span is what ports are chosen from.
func span() (low, high int) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return lowest, highest
	}
	low, high, err = outside(string(text))
	if err != nil {
		return lowest, highest
	}
	return low, high
}

// outside returns the larger part of the ports that is not in a range as
// /proc shows it.
func outside(text string) (low, high int, err error) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return 0, 0, fmt.Errorf("range of ports %q: want two numbers", text)
	}
	first, err1 := strconv.Atoi(fields[0])
	last, err2 := strconv.Atoi(fields[1])
	if err := errors.Join(err1, err2); err != nil {
		return 0, 0, fmt.Errorf("range of ports %q: %w", text, err)
	}
	low, high = lowest, first-1
	if highest-last > first-lowest {
		low, high = last+1, highest
	}
	if high-low+1 < enough {
		return 0, 0, fmt.Errorf("range of ports %q: want %d outside it", text, enough)
	}
	return low, high, nil
}
