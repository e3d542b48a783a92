package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"
)

// bansFile is what an edge keeps its bans in, below its state directory.
const bansFile = "bans"

// writeBans writes n bans by hand, until lifted, in the edge's own format: it is
// text, with a line for each and a checksum at its end.
func writeBans(w io.Writer, n int, since time.Time) error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	out := bufio.NewWriterSize(w, 1<<16)
	both := io.MultiWriter(out, sum)
	fmt.Fprint(both, "sallyport bans 1\n")
	for i := range n {
		fmt.Fprintf(both, "%s/32 %d 0 - 0 0 direct \"admin\" \"\"\n", bannedAddress(i), since.UnixMilli())
	}
	fmt.Fprintf(out, "end %d %08x\n", n, sum.Sum32())
	return out.Flush()
}

// measureListing measures the good client beside an edge with many bans in XDP,
// of which somebody always asks for the whole list.
func (b *bench) measureListing(ctx context.Context, n int) error {
	dir, err := os.MkdirTemp(b.dir, "list-")
	if err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "state", bansFile), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(writeBans(f, n, time.Now().Add(-time.Minute)), f.Close()); err != nil {
		return err
	}
	start := time.Now()
	e, err := b.startEdge(ctx, dir, bansXDP)
	if err != nil {
		return err
	}
	defer e.Stop()
	if err := e.await(ctx, 5*time.Minute, bansXDP, n); err != nil {
		return err
	}
	b.sheet.add(edgeStart, bansXDP, time.Since(start).Seconds())

	client, err := b.startGood(dir, b.goodPlan(b.rate, b.flood))
	if err != nil {
		return err
	}
	defer client.Stop()
	var took []time.Duration
	for {
		length, listed, err := b.list(ctx, e, dir)
		if err != nil {
			return err
		}
		if listed != n {
			return fmt.Errorf("list bans: %d were listed, want %d", listed, n)
		}
		took = append(took, length)
		select {
		case <-client.Done:
		default:
			continue
		}
		break
	}
	var g good
	if err := client.result(ctx, &g); err != nil {
		return err
	}
	b.sheet.add(listTook, bansXDP, took[0].Seconds())
	b.noteGood(bansListed, &g)
	return nil
}

// list lists all bans once, from the client's core.
func (b *bench) list(ctx context.Context, e *edge, dir string) (time.Duration, int, error) {
	start := time.Now()
	var lines lineCounter
	p, err := b.cable.client.startProcess(dir, "bans", b.nice(attackNice), &lines, e.binary, "bans", "-c", e.config, "--json")
	if err != nil {
		return 0, 0, err
	}
	defer p.Stop()
	select {
	case <-p.Done:
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	if p.Err != nil {
		return 0, 0, fmt.Errorf("list bans: %w%s", p.Err, p.Said())
	}
	const brackets = 2 // on lines of their own
	return time.Since(start), int(lines) - brackets, nil
}

// lineCounter counts the lines written to it.
type lineCounter int

func (c *lineCounter) Write(b []byte) (int, error) {
	*c += lineCounter(bytes.Count(b, []byte{'\n'}))
	return len(b), nil
}
