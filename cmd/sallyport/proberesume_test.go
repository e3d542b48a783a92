package main

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"sync"
)

// fileSession is a cache of one TLS session that is kept in a file, so that
// another process can resume it.
type fileSession struct {
	file string
	mu   sync.Mutex
	err  error
}

func (s *fileSession) Get(string) (*tls.ClientSessionState, bool) {
	data, err := os.ReadFile(s.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	if err == nil && len(data) < 4 {
		err = errors.New("no session in it")
	}
	var state *tls.SessionState
	if err == nil {
		size := int(binary.BigEndian.Uint32(data))
		data = data[4:]
		if state, err = tls.ParseSessionState(data[size:]); err == nil {
			var session *tls.ClientSessionState
			if session, err = tls.NewResumptionState(data[:size], state); err == nil {
				return session, true
			}
		}
	}
	s.fail(err)
	return nil, false
}

func (s *fileSession) Put(_ string, session *tls.ClientSessionState) {
	if session == nil {
		return
	}
	ticket, state, err := session.ResumptionState()
	var data []byte
	if err == nil {
		data, err = state.Bytes()
	}
	if err == nil {
		data = append(append(binary.BigEndian.AppendUint32(nil, uint32(len(ticket))), ticket...), data...)
		err = os.WriteFile(s.file, data, 0o600)
	}
	s.fail(err)
}

func (s *fileSession) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = errors.Join(s.err, err)
}

// resume makes a request, and says whether the TLS session was one from before.
func (p *prober) resume() error {
	config, err := p.tlsConfig()
	if err != nil {
		return err
	}
	cache := &fileSession{file: p.session}
	config.ClientSessionCache = cache
	conn, err := p.handshake(config)
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", p.path)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil) // the ticket comes in front of it
	if err != nil {
		return err
	}
	response.Body.Close()
	how := "full handshake"
	if conn.ConnectionState().DidResume {
		how = "resumed"
	}
	fmt.Fprintf(p.out, "%s %s, %s\n", response.Proto, response.Status, how)
	cache.mu.Lock()
	defer cache.mu.Unlock()
	return cache.err
}
