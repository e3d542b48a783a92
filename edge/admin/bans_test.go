package admin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeBans holds bans, and packets to be watched.
type fakeBans struct {
	list    []Ban
	packets []DroppedPacket
	watch   error         // in place of packets
	gone    chan struct{} // closed when who watches is gone
	asked   []BanRequest
}

func (b *fakeBans) Ban(_ context.Context, r BanRequest) (Ban, error) {
	b.asked = append(b.asked, r)
	return Ban{Prefix: r.Prefix, By: "admin"}, nil
}

func (b *fakeBans) Unban(context.Context, netip.Prefix) (int, error) { return 1, nil }

func (b *fakeBans) All() iter.Seq[Ban] { return slices.Values(b.list) }

func (b *fakeBans) Watch(ctx context.Context, each func(DroppedPacket) error) error {
	if b.watch != nil {
		return b.watch
	}
	for _, p := range b.packets {
		if err := each(p); err != nil {
			return err
		}
	}
	<-ctx.Done()
	close(b.gone)
	return ctx.Err()
}

func TestBansAreListed(t *testing.T) {
	for _, n := range []int{0, 1, 5000} {
		bans := &fakeBans{}
		for i := range n {
			bans.list = append(bans.list, Ban{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i)}), 24).Masked(), By: "policy", Packets: uint64(i)})
		}
		var text bytes.Buffer
		if err := serve(t, &fakeEdge{bans: bans}).Download(t.Context(), "/bans", &text); err != nil {
			t.Fatal(err)
		}
		var got []Ban
		if err := ReadBans(bytes.NewReader(text.Bytes()), func(b Ban) error { got = append(got, b); return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, bans.list) {
			t.Errorf("%d bans: got %d others", n, len(got))
		}
		if lines := strings.Count(text.String(), "\n"); n > 0 && lines != n+2 {
			t.Errorf("%d bans on %d lines, want one each and two brackets", n, lines)
		}
		half := text.Bytes()[:text.Len()/2]
		if err := ReadBans(bytes.NewReader(half), func(Ban) error { return nil }); err == nil {
			t.Errorf("%d bans: half of the answer was taken for all of it", n)
		}
	}
}

func TestHostBitsAreRefused(t *testing.T) {
	bans := &fakeBans{}
	client := serve(t, &fakeEdge{bans: bans})
	for prefix, want := range map[string]string{
		"10.0.0.9/8":     "10.0.0.9/8 is an address within a network: want 10.0.0.0/8 for the network, or 10.0.0.9 for the address alone",
		"2001:db8::1/64": "want 2001:db8::/64 for the network",
	} {
		err := client.Do(t.Context(), http.MethodPost, "/bans", strings.NewReader(`{"prefix": "`+prefix+`"}`), nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ban %s: %v, want %s", prefix, err, want)
		}
		err = client.Do(t.Context(), http.MethodDelete, "/bans?prefix="+prefix, nil, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("unban %s: %v, want %s", prefix, err, want)
		}
	}
	for _, prefix := range []string{"10.0.0.0/8", "10.0.0.9/32", "2001:db8::1/128"} {
		if err := client.Do(t.Context(), http.MethodPost, "/bans", strings.NewReader(`{"prefix": "`+prefix+`", "for": "1m"}`), nil); err != nil {
			t.Errorf("ban %s: %v", prefix, err)
		}
	}
	if len(bans.asked) != 3 {
		t.Errorf("asked for %v, want the three that make sense", bans.asked)
	}
}

func TestWideNetworks(t *testing.T) {
	for prefix, wide := range map[string]bool{
		"0.0.0.0/0": true, "10.0.0.0/7": true, "10.0.0.0/8": false, "10.0.0.1/32": false,
		"::/0": true, "2000::/15": true, "2001::/16": false, "2001:db8::1/128": false,
		"::ffff:0.0.0.0/96": true, "::ffff:10.0.0.0/103": true, "::ffff:10.0.0.0/104": false, "::/64": false,
	} {
		if err := WideNetwork(netip.MustParsePrefix(prefix)); (err != nil) != wide || wide && !strings.Contains(err.Error(), "--force") {
			t.Errorf("%s: %v", prefix, err)
		}
	}
	if err := WideNetwork(netip.Prefix{}); err != nil {
		t.Errorf("no network: %v", err)
	}
}

func TestPacketsAreWatched(t *testing.T) {
	bans := &fakeBans{gone: make(chan struct{})}
	for i := range 3 {
		bans.packets = append(bans.packets, DroppedPacket{
			Time: time.Unix(int64(i), 0).UTC(), From: netip.MustParseAddr("192.0.2.1"), To: netip.MustParseAddrPort("192.0.2.2:443"),
			Interface: "eth0", Bytes: 60, Verdict: "drop_host", Reason: "ClientCertMissing",
		})
	}
	client := serve(t, &fakeEdge{bans: bans})
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	read, write := io.Pipe()
	go func() { write.CloseWithError(client.Download(ctx, "/bans/packets", write)) }()
	var got []DroppedPacket
	err := ReadPackets(read, func(p DroppedPacket) error {
		if got = append(got, p); len(got) == len(bans.packets) {
			leave() // they came while the answer went on
		}
		return nil
	})
	if err == nil || !errors.Is(err, context.Canceled) {
		t.Errorf("read: %v", err)
	}
	if !slices.Equal(got, bans.packets) {
		t.Errorf("got %v", got)
	}
	select {
	case <-bans.gone:
	case <-time.After(time.Minute):
		t.Error("the edge goes on after who watched is gone")
	}

	bans.watch = errors.New("none are dropped")
	if err := client.Download(t.Context(), "/bans/packets", io.Discard); err == nil || !strings.Contains(err.Error(), "none are dropped") {
		t.Errorf("%v", err)
	}
}
