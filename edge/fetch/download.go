package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const userAgent = "sallyport"

// download gets the file into s.part, from where a download before broke if it
// can. unchanged says that the server has what is kept. With an error, s.part is
// what a later download can go on from, or nil.
func (s *source) download(ctx context.Context) (unchanged bool, err error) {
	if s.part != nil && !s.fetcher.room.mark(s.part, false, false) {
		s.drop() // others needed the room
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return false, err
	}
	conditional := s.condition(request.Header)
	response, err := s.client().Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if encoding := response.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return false, fmt.Errorf("server sends content encoding %q: want none", encoding)
	}
	switch response.StatusCode {
	case http.StatusNotModified:
		if !conditional {
			return false, errors.New("server answers 304 Not Modified, and was not asked whether it is")
		}
		return true, nil
	case http.StatusOK:
		err = s.begin(response)
	case http.StatusPartialContent:
		err = s.resume(response)
	case http.StatusRequestedRangeNotSatisfiable:
		s.drop()
		return false, errors.New("server cannot go on with the download: it starts again")
	default:
		// It may be the condition that it does not take: what the server in its place
		// sent for an ETag is worth no more than that server was.
		if code := response.StatusCode; code >= 400 && code < 500 && code != http.StatusTooManyRequests {
			s.drop()
			s.plainly = true
		}
		return false, fmt.Errorf("server answers %s", response.Status)
	}
	if err != nil {
		s.drop()
		return false, err
	}
	var received atomic.Int64
	stop := hurry(s.fetcher.options.SlowAfter, &received, giveUp)
	defer stop()
	return false, s.receive(ctx, response.Body, &received)
}

// client is the Fetcher's, kept to the hosts that the source may be redirected to.
func (s *source) client() *http.Client {
	if s.allows == nil {
		return s.fetcher.client
	}
	c := *s.fetcher.client
	check := c.CheckRedirect
	c.CheckRedirect = func(next *http.Request, via []*http.Request) error {
		if host := next.URL.Hostname(); !s.allows(host) {
			return fmt.Errorf("redirect to host %q is refused: want one that the configuration allows", host)
		}
		return check(next, via)
	}
	return &c
}

// drop gives up what was downloaded so far.
func (s *source) drop() {
	s.part.discard()
	s.part = nil
}

// condition asks for the rest of a broken download, or for what is newer than
// what is kept.
func (s *source) condition(h http.Header) (conditional bool) {
	h.Set("User-Agent", userAgent)
	h.Set("Accept-Encoding", "identity")
	if s.part != nil {
		h.Set("Range", fmt.Sprintf("bytes=%d-", s.part.size))
		h.Set("If-Range", s.part.etag)
		return false
	}
	// A list that is late, and that the server says is its newest, is fetched whole
	// once: whoever was on the way may have given it another one's ETag.
	if s.kept == nil || s.plainly || s.late == 1 {
		return false
	}
	if s.kept.ETag != "" {
		h.Set("If-None-Match", s.kept.ETag)
	}
	if s.kept.LastModified != "" {
		h.Set("If-Modified-Since", s.kept.LastModified)
	}
	return s.kept.ETag != "" || s.kept.LastModified != ""
}

// begin starts a part with a response that has the whole file.
func (s *source) begin(response *http.Response) error {
	s.drop()
	if text := response.Header.Get("Content-Range"); text != "" {
		return fmt.Errorf("server answers 200 with Content-Range %q: want all of the file or 206", text)
	}
	if err := s.checkTotal(response.ContentLength); err != nil {
		return err
	}
	p, err := s.spool.part()
	if err != nil {
		return err
	}
	p.etag = etagOf(response.Header)
	p.lastModified = lastModified(response.Header, time.Now())
	p.total = response.ContentLength // -1: not known
	s.fetcher.room.add(p)
	s.part = p
	return nil
}

// maxETag bounds an ETag that is sent back, in bytes: servers refuse requests with
// headers that are too large, and would so for ever.
const maxETag = 1024

// etagOf returns a response's ETag, "" where it is none to send back.
func etagOf(h http.Header) string {
	text := h.Get("ETag")
	if len(text) > maxETag {
		return ""
	}
	return text
}

// lastModified returns a response's Last-Modified where it tells this file from every
// later one, "" where it does not: it counts in seconds, and a file that is written
// twice within one has the same (RFC 9110 section 8.8.2.2). That takes a second and
// the moment by which the clock of a file system is behind. Nor does a time that is
// to come by our clock: servers would say of every file until then that it is older.
func lastModified(h http.Header, received time.Time) string {
	text := h.Get("Last-Modified")
	modified, err := http.ParseTime(text)
	if err != nil {
		return ""
	}
	at, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		at = received
	}
	if at.Sub(modified) < 2*time.Second || modified.After(received) {
		return ""
	}
	return text
}

// resume sees to it that a response goes on where the part ends.
func (s *source) resume(response *http.Response) error {
	if s.part == nil {
		return errors.New("server answers 206 Partial Content, and was asked for all")
	}
	text := response.Header.Get("Content-Range")
	from, to, total, err := parseContentRange(text)
	switch {
	case err != nil:
		return err
	case from != s.part.size:
		return fmt.Errorf("server answers with Content-Range %q: want one from %d", text, s.part.size)
	case response.ContentLength >= 0 && response.ContentLength != to-from+1:
		return fmt.Errorf("server answers with Content-Range %q and Content-Length %d", text, response.ContentLength)
	case s.part.total >= 0 && total >= 0 && total != s.part.total:
		return fmt.Errorf("server answers with Content-Range %q: the length was %d", text, s.part.total)
	}
	if etag := response.Header.Get("ETag"); etag != "" && etag != s.part.etag {
		return fmt.Errorf("server goes on with ETag %s: it was %s", etag, s.part.etag)
	}
	if s.part.total < 0 {
		s.part.total = total
	}
	// Otherwise nobody could say whether this rest is the whole rest.
	if s.part.total < 0 {
		return fmt.Errorf("server answers with Content-Range %q: want one with the length", text)
	}
	return s.checkTotal(s.part.total)
}

func (s *source) checkTotal(total int64) error {
	if limit := s.fetcher.options.MaxSize; total > limit {
		return fmt.Errorf("file has %d bytes: want at most %d", total, limit)
	}
	return nil
}

// receive adds the body to the part, and counts what it got.
func (s *source) receive(ctx context.Context, body io.Reader, got *atomic.Int64) error {
	limit := s.fetcher.options.MaxSize
	buffer := make([]byte, 64<<10)
	for {
		n, err := body.Read(buffer)
		got.Add(int64(n))
		if s.part.size+int64(n) > limit {
			s.drop()
			return fmt.Errorf("file is larger than %d bytes", limit)
		}
		if writeErr := s.part.write(buffer[:n]); writeErr != nil {
			s.drop()
			return writeErr
		}
		received := s.part.size
		s.update(func(st *Status) { st.Received = received })
		if err == io.EOF && (s.part.total < 0 || s.part.size == s.part.total) {
			return nil
		}
		if err == io.EOF && s.part.size > s.part.total {
			total := s.part.total
			s.drop()
			return fmt.Errorf("server sent %d bytes of %d", received, total)
		}
		if err != nil {
			if cause := context.Cause(ctx); errors.Is(cause, errSlow) {
				err = cause
			}
			err = fmt.Errorf("download broke after %d bytes: %w", received, err)
			// Without a strong ETag nothing says that what comes is of the same file.
			if !isStrong(s.part.etag) || received == 0 {
				s.drop()
			}
			return err
		}
	}
}

// isStrong says whether an ETag vouches for every byte (RFC 9110 section 8.8.1).
func isStrong(etag string) bool {
	return len(etag) >= 2 && etag[0] == '"' && etag[len(etag)-1] == '"'
}

// parseContentRange reads a Content-Range of RFC 9110 section 14.4. total is -1
// where it is not known.
func parseContentRange(text string) (from, to, total int64, err error) {
	fail := func() (int64, int64, int64, error) {
		return 0, 0, 0, fmt.Errorf("server answers with Content-Range %q: want bytes FROM-TO/TOTAL", text)
	}
	rest, ok := strings.CutPrefix(text, "bytes ")
	if !ok {
		return fail()
	}
	span, size, ok := strings.Cut(rest, "/")
	first, last, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 {
		return fail()
	}
	numbers := [3]int64{2: -1}
	for i, digits := range []string{first, last, size} {
		if i == 2 && digits == "*" {
			break
		}
		n, err := strconv.ParseUint(digits, 10, 62)
		if err != nil {
			return fail()
		}
		numbers[i] = int64(n)
	}
	from, to, total = numbers[0], numbers[1], numbers[2]
	if to < from || total >= 0 && to >= total {
		return fail()
	}
	return from, to, total, nil
}
