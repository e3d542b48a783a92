package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Addresses are of a network for benchmarks (RFC 2544). Attackers have the 64
// from attackers on; packet floods come from 100.0.0.0 on.
const (
	networkBits    = "/15"
	serverIP       = "198.18.0.1"
	clientIP       = "198.18.0.2"
	attackers      = "198.18.1.1"
	attackerCount  = 64
	serverPort     = 8443
	floodedPort    = 8444 // of a listener that is no edge
	bannedFrom     = 100 << 24
	strangerSource = 99<<24 | 1 // banned nowhere
)

// end is one end of the cable.
type end struct {
	*namespace
	device string
	core   int
	mac    net.HardwareAddr
	index  int
	nice   int // of what receives
	napi   int // thread that receives
}

// cable is two namespaces with a pair of interfaces between them. What either
// receives is received by a thread of the kernel on that side's core, so that
// it can be accounted, and so that a client does not pay for its server.
type cable struct{ server, client *end }

// newCable lays it; close takes it up.
func newCable(c cores, nice int) (*cable, error) {
	name := strconv.FormatInt(int64(os.Getpid()), 36)
	w := &cable{server: &end{device: "s" + name, core: c.server, nice: nice}, client: &end{device: "c" + name, core: c.client, nice: nice}}
	for _, e := range []*end{w.server, w.client} {
		var err error
		if e.namespace, err = newNamespace(); err != nil {
			w.close()
			return nil, err
		}
	}
	if err := w.lay(); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *cable) close() {
	for _, e := range []*end{w.server, w.client} {
		if e.namespace != nil {
			e.namespace.close()
		}
	}
}

func (w *cable) lay() error {
	s, c := w.server, w.client
	one := []string{"numrxqueues", "1", "numtxqueues", "1"}
	args := append([]string{"link", "add", s.device}, one...)
	args = append(args, "type", "veth", "peer", "name", c.device, "netns", strconv.Itoa(c.thread))
	if err := s.ip(append(args, one...)...); err != nil {
		return err
	}
	own := []string{clientIP}
	for i := range attackerCount {
		own = append(own, attacker(i).String())
	}
	if err := s.up(serverIP); err != nil {
		return err
	}
	if err := c.up(own...); err != nil {
		return err
	}
	// Answers to sources that are nobody's go to the client's side, and end there.
	if err := s.ip("neighbour", "replace", clientIP, "lladdr", c.mac.String(), "dev", s.device, "nud", "permanent"); err != nil {
		return err
	}
	return s.ip("route", "add", "default", "via", clientIP)
}

// attacker is the address of the i-th.
func attacker(i int) net.IP {
	a := net.ParseIP(attackers).To4()
	a[3] += byte(i)
	return a
}

// up gives the end its addresses, of which the first is what connections come
// from, and has a thread receive.
func (e *end) up(addresses ...string) error {
	for _, a := range addresses {
		if err := e.ip("address", "add", a+networkBits, "dev", e.device); err != nil {
			return err
		}
	}
	if err := e.ip("link", "set", e.device, "addrgenmode", "none"); err != nil {
		return err
	}
	if err := e.ip("link", "set", e.device, "up"); err != nil {
		return err
	}
	return e.do(func() error {
		i, err := net.InterfaceByName(e.device)
		if err != nil {
			return err
		}
		e.mac, e.index = i.HardwareAddr, i.Index
		// Without GRO (or XDP) veth has no NAPI, and the sender receives.
		if err := receiveOffload(e.device); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join("/sys/class/net", e.device, "threaded"), []byte("1"), 0); err != nil {
			return fmt.Errorf("have a thread receive: %w", err)
		}
		if e.napi, err = findThread("napi/" + e.device + "-"); err != nil {
			return err
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, e.napi, e.nice); err != nil {
			return fmt.Errorf("set niceness %d: %w", e.nice, err)
		}
		return pin(e.napi, e.core)
	})
}

// findThread returns the kernel's thread whose name begins so.
func findThread(prefix string) (int, error) {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil && strings.HasPrefix(string(text), prefix) {
			return strconv.Atoi(filepath.Base(filepath.Dir(name)))
		}
	}
	return 0, fmt.Errorf("no thread %s*: want a kernel with threaded NAPI, Linux 5.12 or later", prefix)
}

// listen returns a listener of the end's; nobody accepts what comes.
func (e *end) listen(address string) (l net.Listener, err error) {
	err = e.do(func() (err error) {
		l, err = net.Listen("tcp4", address)
		return err
	})
	return l, err
}

// tally is what the server's side has received so far.
type tally struct {
	packets   uint64 // taken from the cable
	delivered uint64 // to TCP
	cpu       uint64 // ns, of the thread that receives
}

func (t tally) since(before tally) tally {
	return tally{t.packets - before.packets, t.delivered - before.delivered, t.cpu - before.cpu}
}

// tally reads all three.
func (e *end) tally() (t tally, err error) {
	err = e.do(func() error {
		packets, err1 := readNumber(filepath.Join("/sys/class/net", e.device, "statistics/rx_packets"))
		// Not /proc/net: that is the process's.
		snmp, err2 := os.ReadFile("/proc/thread-self/net/snmp")
		delivered, err3 := parseSNMP(string(snmp), "Ip", "InDelivers")
		schedstat, err4 := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", e.napi))
		cpu, err5 := parseSchedstat(string(schedstat))
		t = tally{packets, delivered, cpu}
		return errors.Join(err1, err2, err3, err4, err5)
	})
	return t, err
}

// receiveOffload switches GRO on, as ethtool -K DEVICE gro on does.
func receiveOffload(device string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := ethtoolSet(fd, device, unix.ETHTOOL_SGRO, 1); err != nil {
		return fmt.Errorf("switch GRO of %s on: %w", device, err)
	}
	return nil
}
