package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/fetch"
	"github.com/sallyport/sallyport/edge/truststore"
	"github.com/sallyport/sallyport/revocation"
)

// downloadTimeout is for all of a CRL.
const downloadTimeout = 15 * time.Minute

func isURL(name string) bool {
	u, err := url.Parse(name)
	return err == nil && fetch.CheckURL(u) == nil
}

// download gets a CRL into a file, which remove removes. It asks as an edge does;
// where an edge's guard refuses the address, the report says so, and it is asked
// all the same, since it is a person who wants to know.
func download(ctx context.Context, from string, report *crlReport, tell func(revocation.Progress)) (path string, remove func(), err error) {
	f, err := os.CreateTemp("", "sallyport-*.crl")
	if err != nil {
		return "", func() {}, err
	}
	remove = func() { os.Remove(f.Name()) }
	defer f.Close()
	ctx, cancel := context.WithTimeout(ctx, downloadTimeout)
	defer cancel()
	err = get(ctx, fetch.Network{}, from, f, tell)
	var refused *fetch.AddressError
	if errors.As(err, &refused) {
		report.Guard = refused.Error()
		everywhere := fetch.Network{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}}
		if err = get(ctx, everywhere, from, f, tell); err != nil {
			err = fmt.Errorf("%w (and an edge would not ask without revocation.fetch.allow: %v)", err, refused)
		}
	}
	return f.Name(), remove, err
}

// get writes what is at a URL to f.
func get(ctx context.Context, network fetch.Network, from string, f io.Writer, tell func(revocation.Progress)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "sallyport")
	request.Header.Set("Accept-Encoding", "identity")
	response, err := network.Client().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("server answers %s", response.Status)
	}
	seen := &counted{size: max(0, response.ContentLength), tell: tell}
	n, err := io.Copy(io.MultiWriter(f, seen), io.LimitReader(response.Body, revocation.DefaultMaxSize+1))
	switch {
	case err != nil:
		return fmt.Errorf("download broke after %d bytes: %w", n, err)
	case n > revocation.DefaultMaxSize:
		return fmt.Errorf("file is larger than %d bytes", revocation.DefaultMaxSize)
	}
	return nil
}

// counted tells how far a download is.
type counted struct {
	done, size int64
	tell       func(revocation.Progress)
}

func (c *counted) Write(b []byte) (int, error) {
	c.done += int64(len(b))
	c.tell(revocation.Progress{Bytes: c.done, Size: c.size})
	return len(b), nil
}

// edgeSays is what an edge with these CAs in its bundle would make of lists that
// it has none of yet.
func edgeSays(lists []*revocation.List, cas []*x509.Certificate, fetched bool, now time.Time) string {
	if cas == nil {
		return "cannot be said without --ca"
	}
	next, err := truststore.JudgeCRLs(lists, cas, fetched, now)
	if err != nil {
		return "would refuse it: " + err.Error()
	}
	var expired []string
	for _, l := range lists {
		if now.After(l.NextUpdate()) {
			expired = append(expired, "it has expired: it revokes, and vouches for nobody")
			break
		}
	}
	text := "would take it"
	if fetched && !next.IsZero() {
		text += ", and ask again by " + stamp(next)
	}
	return strings.Join(append([]string{text}, expired...), "; ")
}
