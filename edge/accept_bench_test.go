package edge

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkAccept is a connection accepted and closed, its client's part included,
// by one listening socket, and by one for each of two cores: docs/steering.md says
// why there is one.
func BenchmarkAccept(b *testing.B) {
	for name, sockets := range map[string]int{"one": 1, "two": 2} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			address, end := "127.0.0.1:0", make(chan error)
			var accepted atomic.Int64
			var open []*socket
			for range sockets {
				sock, err := listenOn("benchmark", address, reuseport)
				if err != nil {
					b.Fatal(err)
				}
				open, address = append(open, sock), sock.net.Addr().String()
				go func() {
					end <- sock.accept(func(c net.Conn) {
						accepted.Add(1)
						c.Write([]byte{0})
						c.Close()
					})
				}()
			}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c, err := net.Dial("tcp", address)
					if err != nil {
						b.Error(err)
						return
					}
					c.Read(make([]byte, 1))
					c.(*net.TCPConn).SetLinger(0)
					c.Close()
				}
			})
			for _, sock := range open {
				sock.net.Close()
				if err := <-end; err != nil {
					b.Error(err)
				}
			}
			if n := accepted.Load(); n != int64(b.N) {
				b.Errorf("%d connections of %d accepted", n, b.N)
			}
		})
	}
}

func reuseport(_, _ string, c syscall.RawConn) error {
	var set error
	err := c.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	return errors.Join(err, set)
}
