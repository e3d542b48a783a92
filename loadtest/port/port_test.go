package port

import (
	"net"
	"os"
	"runtime"
	"testing"
)

func TestReserve(t *testing.T) {
	address, release, err := ReserveAddress("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address) // what it is for
	if err != nil {
		t.Fatal(err)
	}
	number := l.Addr().(*net.TCPAddr).Port
	if low, high := span(); number < low || number > high {
		t.Errorf("port %d, want one of %d to %d", number, low, high)
	}
	if unused(number) == nil {
		t.Errorf("port %d is taken for unused by any address while somebody listens at %s", number, address)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if again, err := claim(number); err == nil {
		again.Close()
		t.Errorf("port %d is given twice", number)
	}
	release()
	again, err := claim(number)
	if err != nil {
		t.Fatalf("port %d after its release: %v", number, err)
	}
	again.Close()
}

// TestKeptWithoutRelease: who drops the release has the port to the end of the process.
func TestKeptWithoutRelease(t *testing.T) {
	number, _, err := Reserve()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // what a finalizer closes is found by one, and closed after it
		runtime.GC()
	}
	if again, err := claim(number); err == nil {
		again.Close()
		t.Errorf("port %d is given twice", number)
	}
}

// TestNotTheKernels: the kernel gives none of these to anybody who does not name it.
func TestNotTheKernels(t *testing.T) {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Skip("no /proc/sys/net")
	}
	low, high, err := outside(string(text))
	if err != nil {
		t.Skip(err)
	}
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if number := l.Addr().(*net.TCPAddr).Port; number >= low && number <= high {
			t.Errorf("the kernel gave %d, which is one of %d to %d", number, low, high)
		}
		l.Close()
	}
}

func TestOutside(t *testing.T) {
	for _, c := range []struct {
		text      string
		low, high int
	}{
		{"32768\t60999\n", 10240, 32767},
		{"1024 40000\n", 40001, 65535},
		{"10500 20000\n", 20001, 65535},
		{"30000 65535\n", 10240, 29999},
		{"1024\t65535\n", 0, 0},
		{"11000 65000\n", 0, 0},
		{"32768\n", 0, 0},
		{"a b\n", 0, 0},
	} {
		low, high, err := outside(c.text)
		if low != c.low || high != c.high || (err == nil) != (c.low > 0) {
			t.Errorf("outside %q: %d to %d, %v, want %d to %d", c.text, low, high, err, c.low, c.high)
		}
	}
}
