package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// AuditMessage is the message of the log's record of a change that somebody asked
// for, through the admin socket or the status page, whether it was made or not. Its
// facts have the keys action, via and outcome, who it was, and what it was about.
const AuditMessage = "admin action"

// The values of outcome.
const (
	AuditDone   = "done"
	AuditFailed = "failed" // refused, or it went wrong: cause tells
)

// actions are the changes that the API makes, by the patterns of its handlers. They
// are called as the command line calls them.
var actions = map[string]string{
	"POST /bans":                                  "ban",
	"DELETE /bans":                                "unban",
	"PUT /truststores/{name}/ca-bundle":           "truststore put",
	"POST /truststores/{name}/crls":               "truststore crl-add",
	"DELETE /truststores/{name}/crls/{id}":        "truststore crl-remove",
	"POST /truststores/{name}/rollback":           "truststore rollback",
	"POST /truststores/{name}/revocations":        "revoke",
	"DELETE /truststores/{name}/revocations/{id}": "unrevoke",
	"POST /certificates/{name}/renew":             "certificates renew",
	"POST /upgrade":                               "upgrade",
	"POST /reload":                                "reload",
	"POST /drain":                                 "drain",
}

// change is what is being asked for, as the audit record will tell it. One
// goroutine serves a request, and nobody else has its change.
type change struct{ facts []slog.Attr }

type changeKey struct{}

// note adds facts to the audit record of a request, which may be of one that changes
// nothing and has none.
func note(r *http.Request, facts ...slog.Attr) {
	if c, ok := r.Context().Value(changeKey{}).(*change); ok {
		c.facts = append(c.facts, facts...)
	}
}

// audited records who has asked for what, and what became of it. The page speaks for
// itself: it knows by which of its forms it was asked.
func (s *Server) audited(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			handler.ServeHTTP(w, r)
			return
		}
		who := Caller(r.Context()) // while it waits for the answer, and is there
		c := &change{}
		r = r.WithContext(context.WithValue(r.Context(), changeKey{}, c))
		answer := &answered{ResponseWriter: w}
		whole := false
		defer func() {
			action, changes := actions[r.Pattern]
			if !changes {
				return
			}
			facts := []slog.Attr{slog.String("action", action)}
			if name := r.PathValue("name"); name != "" {
				facts = append(facts, slog.String(named(r.Pattern), name))
			}
			facts = append(facts, c.facts...)
			switch {
			case !whole:
				facts = append(facts, slog.String("outcome", AuditFailed), slog.String("cause", "broken off"))
			case answer.status >= 400:
				facts = append(facts, slog.String("outcome", AuditFailed), slog.String("cause", string(bytes.TrimSpace(answer.cause))))
			default:
				facts = append(facts, slog.String("outcome", AuditDone))
			}
			s.log.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelInfo, AuditMessage, append(facts, who...)...)
		}()
		handler.ServeHTTP(answer, r)
		whole = true
	})
}

// named is what a pattern's name is the name of.
func named(pattern string) string {
	if strings.Contains(pattern, "/certificates/") {
		return "certificate"
	}
	return "trust_store"
}

// maxCause bounds what of an answer is in the log, in bytes.
const maxCause = 1 << 10

// answered keeps what the log says of an answer.
type answered struct {
	http.ResponseWriter
	status int
	cause  []byte // of an error
}

func (a *answered) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answered) Write(p []byte) (int, error) {
	if a.status >= 400 {
		a.cause = append(a.cause, p[:min(len(p), maxCause-len(a.cause))]...)
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Caller tells who asks through the admin socket, as a log has it: the process at its
// other end, as the kernel knew it when it connected, with uid, gid and pid. With
// login_uid, where the kernel keeps one: who has logged in and has become another
// user since. A forwarded port is asked by whoever forwards it.
func Caller(ctx context.Context) []slog.Attr {
	facts := []slog.Attr{slog.String("via", "admin socket")}
	conn, _ := ctx.Value(connKey{}).(*countedConn)
	if conn == nil {
		return facts
	}
	peer, err := peerOf(conn.Conn)
	if err != nil {
		return append(facts, slog.String("caller", err.Error()))
	}
	facts = append(facts, slog.Any("uid", peer.Uid), slog.Any("gid", peer.Gid), slog.Any("pid", peer.Pid))
	if login, ok := loginOf(peer.Pid); ok {
		facts = append(facts, slog.Any("login_uid", login))
	}
	return facts
}

func peerOf(conn net.Conn) (*unix.Ucred, error) {
	with, ok := conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("get credentials of caller: %T is no socket", conn)
	}
	raw, err := with.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("get credentials of caller: %w", err)
	}
	var peer *unix.Ucred
	var failed error
	if err := raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		failed = err
	}
	if failed != nil {
		return nil, fmt.Errorf("get credentials of caller: %w", failed)
	}
	return peer, nil
}

// loginOf is the user that a process's session was opened for.
func loginOf(pid int32) (uint32, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/loginuid", pid))
	if err != nil {
		return 0, false // it has ended, or the kernel does not audit
	}
	login, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
	const unset = 1<<32 - 1
	return uint32(login), err == nil && login != unset
}

// noteMade notes what of a change's result an auditor asks for.
func noteMade(r *http.Request, result any) {
	switch made := result.(type) {
	case TrustStoreVersion:
		note(r, slog.Uint64("version", made.Version), slog.String("ca_bundle_sha256", made.CABundle.SHA256))
		if made.RevocationID != 0 {
			note(r, slog.Int64("revocation_id", made.RevocationID))
		}
	case json.RawMessage: // a revocation
		var revocation struct{ ID, Serial, Issuer, Subject string }
		if json.Unmarshal(made, &revocation) != nil {
			return
		}
		note(r, slog.String("id", revocation.ID), slog.String("serial", revocation.Serial), slog.String("issuer", revocation.Issuer))
		if revocation.Subject != "" {
			note(r, slog.String("subject", revocation.Subject))
		}
	}
}
