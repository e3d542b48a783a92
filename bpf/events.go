package bpf

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cilium/ebpf/ringbuf"
)

// Event is one packet that met a ban or the SYN limit.
type Event struct {
	Time      time.Time
	From      netip.Addr
	To        netip.AddrPort
	Interface int     // its index
	Bytes     int     // of the frame
	Verdict   Verdict // one of the drops and would-have-been drops
	Reason    uint8   // of the ban
}

// Events calls tell with a sample of what is dropped, or would be in dry run,
// one call at a time: of each ban at most one packet a second, of SYNs over the
// limit one in 1024, and no more than 256 a second from each CPU. What the
// sample leaves out for that last reason, or because tell is slow, is counted
// as lost. Events from before the call, as many as there was room for, come
// first. One call may run at a time. It returns ctx's error when ctx is done,
// and ErrClosed when the Filter is closed.
func (f *Filter) Events(ctx context.Context, tell func(Event)) error {
	reader, err := f.startReader()
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { reader.Close() })
	defer func() {
		stop()
		f.stopReader(reader)
	}()
	var record ringbuf.Record
	for {
		err := reader.ReadInto(&record)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ringbuf.ErrClosed):
			return ErrClosed
		case err != nil:
			return fmt.Errorf("read events: %w", err)
		}
		e, err := decodeEvent(record.RawSample, now())
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
		tell(e)
	}
}

func (f *Filter) startReader() (*ringbuf.Reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, ErrClosed
	case f.reader != nil:
		return nil, errors.New("they are being read already")
	}
	reader, err := ringbuf.NewReader(f.maps.Events)
	f.reader = reader
	return reader, err
}

func (f *Filter) stopReader(reader *ringbuf.Reader) {
	f.mu.Lock()
	defer f.mu.Unlock()
	reader.Close()
	f.reader = nil
}

func decodeEvent(record []byte, now instant) (Event, error) {
	var e xdpEvent
	if _, err := binary.Decode(record, binary.NativeEndian, &e); err != nil {
		return Event{}, err
	}
	return Event{
		Time:      now.time(e.Time),
		From:      e.From.addr(),
		To:        netip.AddrPortFrom(e.To.addr(), e.Port),
		Interface: int(e.Interface),
		Bytes:     int(e.Bytes),
		Verdict:   Verdict(e.Verdict),
		Reason:    e.Reason,
	}, nil
}
