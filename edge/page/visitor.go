package page

import (
	"context"
	"log/slog"
	"net/netip"
)

// Visitor is whom the page is shown to: facts by which the log names them.
type Visitor []slog.Attr

type visitorKey struct{}

// Context returns a context for requests of v.
func (v Visitor) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, visitorKey{}, v)
}

// noteUnban logs who wanted to end bans, and how many have ended: also where that
// could not be saved, since they have ended all the same. Its record is like those
// of the admin socket.
func (p *Page) noteUnban(ctx context.Context, prefix netip.Prefix, bans int, err error) {
	facts := []slog.Attr{slog.String("action", "unban"), slog.String("prefix", prefix.String()), slog.Int("lifted", bans)}
	if err == nil {
		facts = append(facts, slog.String("outcome", "done"))
	} else {
		facts = append(facts, slog.String("outcome", "failed"), slog.Any("cause", err))
	}
	v, _ := ctx.Value(visitorKey{}).(Visitor)
	p.log.LogAttrs(ctx, slog.LevelInfo, "admin action", append(facts, v...)...)
}
