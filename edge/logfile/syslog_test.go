package logfile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// message is RFC 5424's, of the facility local0.
var message = regexp.MustCompile(`^<134>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [!-~]{1,255} sallyport ` + strconv.Itoa(os.Getpid()) + ` access - (.*)$`)

// checkMessage checks a message and returns the line in it.
func checkMessage(t *testing.T, got []byte) string {
	t.Helper()
	match := message.FindSubmatch(got)
	if match == nil {
		t.Fatalf("not a message of RFC 5424: %q", got)
	}
	return string(match[1])
}

func to(network, address string) Options {
	return Options{Syslog: Syslog{Network: network, Address: address, Facility: 16, MessageID: "access"}}
}

func TestSyslogDatagrams(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, network := range []string{"unixgram", "udp"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unixgram" {
				address = filepath.Join(t.TempDir(), "log")
			}
			receiver, err := net.ListenPacket(network, address)
			if err != nil {
				t.Fatal(err)
			}
			defer receiver.Close()
			f := mustNew(t, to(network, receiver.LocalAddr().String()))
			f.Write([]byte("before Run"))
			end := run(t, f)
			f.Write([]byte(strings.Repeat("x", 1<<20))) // more than a datagram takes
			f.Write([]byte("two\n"))
			buffer := make([]byte, 65536)
			for _, want := range []string{"before Run", "two"} {
				receiver.SetReadDeadline(time.Now().Add(20 * time.Second))
				n, _, err := receiver.ReadFrom(buffer)
				if err != nil {
					t.Fatal(err)
				}
				if got := checkMessage(t, buffer[:n]); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if n := f.Dropped(); n != 1 {
				t.Errorf("dropped %d, want the one that was too long", n)
			}
		})
	}
}

// readFrames reads messages behind their lengths (RFC 6587, section 3.4.1).
func readFrames(t *testing.T, conn net.Conn, lines chan<- string) {
	for r := bufio.NewReader(conn); ; {
		length, err := r.ReadString(' ')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSuffix(length, " "))
		if err != nil {
			t.Errorf("length %q: %v", length, err)
			return
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(r, frame); err != nil {
			return
		}
		lines <- checkMessage(t, frame)
	}
}

func next(t *testing.T, lines <-chan string) string {
	t.Helper()
	select {
	case line := <-lines:
		return line
	case <-time.After(20 * time.Second):
		t.Fatal("no message within 20 s")
		return ""
	}
}

// A receiver that goes away and comes back gets what was written meanwhile.
func TestSyslogTCPReconnects(t *testing.T) {
	captureWarnings(t)
	// At an address of its own: nobody else is given the port while it is away.
	receiver, err := net.Listen("tcp", fmt.Sprintf("127.%d.%d.%d:0", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254)))
	if err != nil {
		t.Fatal(err)
	}
	address := receiver.Addr().String()
	f := mustNew(t, to("tcp", address))
	end := run(t, f)
	f.Write([]byte("one"))
	f.Write([]byte("two"))
	lines := make(chan string, 100)
	conn, err := receiver.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go readFrames(t, conn, lines)
	for _, want := range []string{"one", "two"} {
		if got := next(t, lines); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	receiver.Close()
	conn.Close()
	f.Write([]byte("three")) // the kernel would take it, if nobody looked
	eventually(t, "the writer notices", func() bool {
		s := f.current.(*syslog)
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.conn == nil
	})
	f.Write([]byte("four"))
	if receiver, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	if conn, err = receiver.Accept(); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go readFrames(t, conn, lines)
	for _, want := range []string{"three", "four"} {
		if got := next(t, lines); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := end(); err != nil {
		t.Fatal(err)
	}
	if n := f.Dropped(); n != 0 {
		t.Errorf("dropped %d", n)
	}
}

// A receiver that does not read holds nobody up; what it does not get is counted,
// and it gets whole messages only.
func TestSyslogReceiverThatDoesNotRead(t *testing.T) {
	captureWarnings(t)
	receiver, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer receiver.Close()
	f := mustNew(t, to("tcp", receiver.Addr().String()))
	f.limit, f.grace = 1<<20, time.Millisecond
	end := run(t, f)
	conn, err := func() (net.Conn, error) { f.Write([]byte("0")); return receiver.Accept() }()
	if err != nil {
		t.Fatal(err)
	}
	written := 1
	line := bytes.Repeat([]byte("x"), 1000)
	for f.Dropped() < 1000 { // more than a moment's delay
		f.Write(fmt.Appendf(nil, "%d %s", written, line))
		if written++; written%50 == 0 {
			time.Sleep(gather)
		}
	}
	lines := make(chan string, written)
	if err := end(); err == nil || !strings.Contains(err.Error(), "lines are lost") {
		t.Errorf("run: %v, want the lost lines", err)
	}
	readFrames(t, conn, lines)
	if got, dropped := len(lines), int(f.Dropped()); got+dropped != written {
		t.Errorf("%d lines read + %d dropped, want %d", got, dropped, written)
	}
}

func TestSyslogWithoutReceiver(t *testing.T) {
	captureWarnings(t)
	f := mustNew(t, to("unixgram", filepath.Join(t.TempDir(), "log")))
	end := run(t, f)
	f.Write([]byte("one"))
	f.Write([]byte("two"))
	if err := end(); err == nil || !strings.Contains(err.Error(), "the last 2 lines are lost: dial unixgram") {
		t.Errorf("run: %v", err)
	}
	if n := f.Dropped(); n != 2 {
		t.Errorf("dropped %d, want 2", n)
	}
}

func TestHeaderPart(t *testing.T) {
	for _, test := range []struct{ value, want string }{
		{"", "-"}, {"host", "host"}, {"a b\x00é", "a_b___"}, {strings.Repeat("h", 300), strings.Repeat("h", 255)},
	} {
		if got := headerPart(test.value, 255); got != test.want {
			t.Errorf("%q: %q, want %q", test.value, got, test.want)
		}
	}
	long := Syslog{Facility: 23, MessageID: strings.Repeat("m", 100)}
	if n := len(newHeader(long).append(nil, time.Now())); n > maxHeader {
		t.Errorf("header of %d bytes, want at most %d", n, maxHeader)
	}
}
