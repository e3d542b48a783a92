package bpf

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
)

// destination reads PREFIX FIRST-LAST.
func destination(t testing.TB, s string) Destination {
	t.Helper()
	var d Destination
	prefix, ports, _ := strings.Cut(s, " ")
	d.Prefix = netip.MustParsePrefix(prefix)
	if _, err := fmt.Sscanf(ports, "%d-%d", &d.First, &d.Last); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return d
}

func table(t testing.TB, destinations ...string) *Table {
	t.Helper()
	var list []Destination
	for _, s := range destinations {
		list = append(list, destination(t, s))
	}
	made, err := NewTable(list)
	must(t, err)
	return made
}

func TestMostSpecific(t *testing.T) {
	made := table(t,
		"0.0.0.0/0 8000-8999",         // 0
		"203.0.113.0/24 1-65535",      // 1
		"203.0.113.0/24 8000-8999",    // 2
		"203.0.113.0/24 8990-9010",    // 3: begins in 2, and is narrower
		"203.0.113.5/32 443-443",      // 4
		"203.0.113.0/25 80-80",        // 5
		"2001:db8::/64 443-444",       // 6
		"2001:db8::1/128 444-444",     // 7
		"::/0 50-60",                  // 8
		"198.51.100.0/24 65535-65535", // 9
	)
	for to, want := range map[string]int{
		"192.0.2.1:8000": 0, "192.0.2.1:8999": 0, "192.0.2.1:7999": -1, "192.0.2.1:9000": -1,
		"203.0.113.9:7999": 1, "203.0.113.9:8000": 2, "203.0.113.9:8989": 2, "203.0.113.9:8990": 3, "203.0.113.9:8999": 3,
		"203.0.113.9:9010": 3, "203.0.113.9:9011": 1, "203.0.113.9:65535": 1, "203.0.113.9:1": 1,
		"203.0.113.5:443": 4, "203.0.113.5:8000": 2, "203.0.113.5:80": 5, "203.0.113.200:80": 1, "203.0.113.6:443": 1,
		"203.0.112.255:443": -1, "203.0.114.0:443": -1, "[::ffff:203.0.113.5]:443": 4,
		"[2001:db8::2]:444": 6, "[2001:db8::1]:444": 7, "[2001:db8::1]:443": 6, "[2001:db8:0:1::]:443": -1,
		"[2001:db8:0:1::]:55": 8, "192.0.2.1:55": -1, "198.51.100.1:65535": 9, "198.51.100.1:65534": -1, "198.51.100.1:0": -1,
	} {
		got, ok := made.Lookup(netip.MustParseAddrPort(to))
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%s goes to %d, want %d", to, got, want)
		}
	}
}

func TestTableRefuses(t *testing.T) {
	for name, list := range map[string][]Destination{
		"neither is more specific": {destination(t, "10.0.0.0/8 80-89"), destination(t, "10.0.0.0/8 85-94")},
		"further bits are zero":    {{Prefix: netip.MustParsePrefix("10.0.0.1/8"), First: 1, Last: 1}},
		"want an IPv4 or":          {{Prefix: netip.MustParsePrefix("::ffff:10.0.0.0/104"), First: 1, Last: 1}},
		"prefix invalid Prefix":    {{First: 1, Last: 1}},
		"ports 0-5":                {{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Last: 5}},
		"ports 6-5":                {{Prefix: netip.MustParsePrefix("10.0.0.0/8"), First: 6, Last: 5}},
		"want at most 4096":        make([]Destination, MaxDestinations+1),
	} {
		if _, err := NewTable(list); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("NewTable of %v: %v, want %q", list[0], err, name)
		}
	}
	var nested []Destination
	for i := range uint16(1000) {
		nested = append(nested, Destination{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24), 1 + i, 60000 - i})
	}
	if _, err := NewTable(nested); err == nil || !strings.Contains(err.Error(), "too often") {
		t.Errorf("NewTable of a thousand nested ranges: %v", err)
	}
}

// best is Lookup from the definition.
func best(list []Destination, a netip.AddrPort) (index int, ok bool) {
	index = -1
	for i, d := range list {
		if !d.Contains(a) {
			continue
		}
		if index < 0 || d.Prefix.Bits() > list[index].Prefix.Bits() ||
			d.Prefix.Bits() == list[index].Prefix.Bits() && d.Last-d.First < list[index].Last-list[index].First {
			index = i
		}
	}
	return index, index >= 0
}

// randomTable has destinations that are near each other.
func randomTable(r *rand.Rand) *Table {
	for {
		var list []Destination
		for range 1 + r.IntN(12) {
			list = append(list, randomDestination(r))
		}
		if t, err := NewTable(list); err == nil {
			return t
		}
	}
}

func randomDestination(r *rand.Rand) Destination {
	a := randomAddress(r)
	bits := a.BitLen() - r.IntN(5)
	if r.IntN(8) == 0 {
		bits = 0
	}
	first := randomPort(r)
	last := uint16(min(int(first)+r.IntN(6), 65535))
	return Destination{netip.PrefixFrom(a, bits).Masked(), first, last}
}

func randomAddress(r *rand.Rand) netip.Addr {
	if r.IntN(2) == 0 {
		return netip.AddrFrom4([4]byte{10, 0, 0, byte(r.IntN(16))})
	}
	return netip.AddrFrom16([16]byte{0x20, 1, 15: byte(r.IntN(16))})
}

func randomPort(r *rand.Rand) uint16 {
	return []uint16{1, 78, 65528}[r.IntN(3)] + uint16(r.IntN(8))
}

func TestTableAsDefined(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		made := randomTable(r)
		for range 50 {
			to := netip.AddrPortFrom(randomAddress(r), randomPort(r))
			got, gotOK := made.Lookup(to)
			want, wantOK := best(made.destinations, to)
			if gotOK != wantOK || gotOK && got != want {
				t.Fatalf("seed %d: %v: %v goes to %d, %v, want %d, %v", seed, made.destinations, to, got, gotOK, want, wantOK)
			}
		}
	}
}

// lookup is struct bpf_sk_lookup, for a program to be run on.
type lookup struct {
	Cookie     uint64
	Family     uint32
	Protocol   uint32
	RemoteIP4  [4]byte
	RemoteIP6  [16]byte
	RemotePort [2]byte
	Zero       uint16
	LocalIP4   [4]byte
	LocalIP6   [16]byte
	LocalPort  uint32
	Interface  uint32
	End        uint32
}

const skDrop, skPass = 0, 1

// asked asks the program about a connection to a. cookie is the socket chosen.
func asked(t testing.TB, p *ebpf.Program, a netip.AddrPort) (verdict uint32, cookie uint64) {
	t.Helper()
	in := lookup{Family: 2, Protocol: 6, LocalPort: uint32(a.Port())}
	if a.Addr().Is4() {
		in.LocalIP4 = a.Addr().As4()
	} else {
		in.Family, in.LocalIP6 = 10, a.Addr().As16()
	}
	var out lookup
	verdict, err := p.Run(&ebpf.RunOptions{Context: in, ContextOut: &out})
	must(t, err)
	return verdict, out.Cookie
}

// TestKernelAgrees: for any table the kernel gives a connection to the socket of
// the destination that Lookup names, refuses it where that has none, and leaves
// alone what goes to no destination.
func TestKernelAgrees(t *testing.T) {
	needSteering(t)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	s := &Steering{}
	must(t, s.openCounts())
	t.Cleanup(func() { s.release() })

	// Sockets of IPv6 take both families.
	var sockets []*net.TCPListener
	for range 3 {
		sockets = append(sockets, listenTCP(t, "[::]:0"))
	}
	for range 60 {
		made := randomTable(r)
		taking := make([]*net.TCPListener, len(made.destinations))
		for i := range taking {
			if n := r.IntN(len(sockets) + 1); n < len(sockets) {
				taking[i] = sockets[n]
			}
		}
		loaded, err := s.load(made, taking)
		must(t, err)
		cookies := map[uint64]*net.TCPListener{}
		for range 60 {
			to := netip.AddrPortFrom(randomAddress(r), randomPort(r))
			verdict, cookie := asked(t, loaded.objects.SallyportSteer, to)
			i, ok := best(made.destinations, to)
			switch {
			case !ok && (verdict != skPass || cookie != 0):
				t.Errorf("seed %d: %v: %v, to nowhere: verdict %d, socket %d", seed, made.destinations, to, verdict, cookie)
			case ok && taking[i] == nil && verdict != skDrop:
				t.Errorf("seed %d: %v: %v, to %d without a socket: verdict %d", seed, made.destinations, to, i, verdict)
			case ok && taking[i] != nil && (verdict != skPass || cookie == 0 || cookies[cookie] != nil && cookies[cookie] != taking[i]):
				t.Errorf("seed %d: %v: %v, to %d: verdict %d, socket %d", seed, made.destinations, to, i, verdict, cookie)
			case ok && taking[i] != nil:
				cookies[cookie] = taking[i]
			}
		}
		must(t, loaded.close())
	}
}

// BenchmarkSteer is what a SYN costs, with some 28 ns that running the program
// this way takes.
func BenchmarkSteer(b *testing.B) {
	needSteering(b)
	s := &Steering{}
	must(b, s.openCounts())
	b.Cleanup(func() { s.release() })
	loaded, err := s.load(table(b, "203.0.113.0/24 8000-8999", "2001:db8::/64 443-444"), []*net.TCPListener{listenTCP(b, "127.0.0.1:0"), listenTCP(b, "[::1]:0")})
	must(b, err)
	b.Cleanup(func() { loaded.close() })
	for _, to := range []string{"203.0.113.7:8080", "[2001:db8::7]:443", "203.0.113.7:80"} {
		b.Run(to, func(b *testing.B) {
			b.ReportAllocs()
			a := netip.MustParseAddrPort(to)
			in := lookup{Family: 2, Protocol: 6, LocalPort: uint32(a.Port())}
			if a.Addr().Is4() {
				in.LocalIP4 = a.Addr().As4()
			} else {
				in.Family, in.LocalIP6 = 10, a.Addr().As16()
			}
			if _, err := loaded.objects.SallyportSteer.Run(&ebpf.RunOptions{Context: in, ContextOut: new(lookup), Repeat: uint32(b.N)}); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func needSteering(t testing.TB) {
	t.Helper()
	if err := SteeringSupported(); err != nil {
		skip(t, err.Error())
	}
}

// listenTCP listens, in the network namespace of the calling thread.
func listenTCP(t testing.TB, address string) *net.TCPListener {
	t.Helper()
	l, err := listenPlain(address)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}
