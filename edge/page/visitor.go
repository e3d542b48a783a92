package page

import (
	"context"
	"log/slog"
	"net/netip"
)

// Visitor is whom the page is shown to, as the log names them.
type Visitor struct {
	Subject     string     // of the certificate, which is verified
	Address     netip.Addr // where the connection comes from
	ConnTraceID string     // of the connection, as in the connection log
}

type visitorKey struct{}

// Context returns a context for requests of v. One without a Visitor is that of
// whoever may use the admin socket.
func (v Visitor) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, visitorKey{}, v)
}

// noteUnban logs who has ended bans, if they have: also where that could not be
// saved, since they have ended all the same.
func (p *Page) noteUnban(ctx context.Context, prefix netip.Prefix, bans int, err error) {
	if bans == 0 {
		return
	}
	facts := []slog.Attr{slog.Any("prefix", prefix), slog.Int("bans", bans)}
	if v, ok := ctx.Value(visitorKey{}).(Visitor); ok {
		facts = append(facts, slog.String("subject", v.Subject), slog.String("client_ip", v.Address.String()), slog.String("conn_trace_id", v.ConnTraceID))
	} else {
		facts = append(facts, slog.String("by", "admin socket"))
	}
	if err != nil {
		facts = append(facts, slog.Any("cause", err))
	}
	p.log.LogAttrs(ctx, slog.LevelInfo, "bans ended on the status page", facts...)
}
