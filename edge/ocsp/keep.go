package ocsp

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/revocation/ocsp"
)

const (
	keptSuffix = ".ocsp"
	keptPart   = ".part" // of one that is being written

	// saveRetry is how long after a failure to write all that is not written is tried
	// again.
	saveRetry = 10 * time.Second
	// maxSaveFailures is how many there are before the others of a round are not tried.
	maxSaveFailures = 16
	// tidyEvery and tidyAfter are how often, and after how many answers, what has
	// lapsed or is too much is removed.
	tidyEvery = time.Hour
	tidyAfter = 10000
	// maxKeptBytes bounds the answers that say revoked, and the others: as many as fit
	// have a thousand bytes or two each.
	maxKeptBytes = 256 << 20
	// soon is within what time an answer from before a restart is asked for anew: it is
	// behind what was known then by what was not written any more.
	soon = 10 * time.Minute
)

// keptPath is where what is known of a certificate is kept; "" where nothing is.
func (c *Client) keptPath(id string) string {
	if c.dir == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:])+keptSuffix)
}

// find takes the lock, and finds the entry of leaf: in memory, or as it was kept.
// Where nothing is known it is nil, or with add a new one. The disk is not waited
// for with the lock held.
func (c *Client) find(q *ocsp.Question, leaf *x509.Certificate, now time.Time, add bool) *entry {
	id := q.ID()
	c.mu.Lock()
	e := c.entries[id]
	if e == nil && c.dir != "" {
		e = c.recall(id, q, leaf, now)
	}
	if e == nil {
		if !add {
			return nil
		}
		e = &entry{id: id, question: q, named: leaf.OCSPServer}
		c.entries[id] = e
	}
	c.touch(e, now)
	return e
}

// recall makes an entry of what is kept; nil where that says nothing. The lock is
// held, but not while the disk is read.
func (c *Client) recall(id string, q *ocsp.Question, leaf *x509.Certificate, now time.Time) *entry {
	path, s := c.keptPath(id), c.settings
	c.mu.Unlock()
	answer, err := judgeKept(path, q, s)
	c.mu.Lock()
	switch e := c.entries[id]; {
	case e != nil:
		return e
	case err != nil:
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errEmpty) {
			s.Log.Warn("kept OCSP answer refused; its responder is asked instead", "file", path, "error", err)
		}
		return nil
	case answer.Status != ocsp.Revoked && !answer.Fresh(now):
		return nil
	}
	e := &entry{id: id, question: q, named: leaf.OCSPServer, answer: answer, have: true}
	e.renewAt = now.Add(rand.N(min(soon, max(answer.Expires.Sub(now)/2, 0)) + 1))
	c.entries[id] = e
	return e
}

// judgeKept judges what is kept as it was when it came: a revocation counts when its
// answer is not fresh any more, and no setting made since takes it back (see Assume).
// What does not stand is removed, since the next answer is to take its place whatever
// its dates say.
func judgeKept(path string, q *ocsp.Question, s *settings) (ocsp.Answer, error) {
	kept, err := readKept(path)
	var answer ocsp.Answer
	switch {
	case err == nil:
		answer, err = q.Validate(kept.response, ocsp.Check{Now: kept.received, MaxAge: math.MaxInt64 / 2, Delegate: s.Delegate})
		if err == nil {
			shorten(&answer, s.MaxAge)
			return answer, nil
		}
	case !errors.Is(err, errDamaged) && !errors.Is(err, errEmpty):
		return answer, err // it may be readable next time
	}
	return answer, errors.Join(err, os.Remove(path))
}

// keep notes an answer for save. The lock is held.
func (c *Client) keep(e *entry, response []byte, now time.Time) {
	if c.dir == "" {
		return
	}
	most := c.settings.MaxEntries // where the disk takes nothing
	if e.answer.Status == ocsp.Revoked {
		most += c.settings.MaxRevoked
	}
	if c.unsaved[e.id] == nil && len(c.unsaved) >= most {
		return
	}
	c.unsaved[e.id] = &keptAnswer{e.answer.Status, now, e.answer.ThisUpdate, e.answer.Expires, response}
	select {
	case c.save <- struct{}{}:
	default:
	}
}

// saveAll writes answers until no more can come, and then those that are left.
func (c *Client) saveAll(last <-chan struct{}) {
	tidy, retry := time.NewTimer(soon), time.NewTimer(saveRetry)
	retry.Stop()
	defer tidy.Stop()
	defer retry.Stop()
	written := 0
	for {
		select {
		case <-last:
			c.saveNow()
			return
		case <-tidy.C:
			written = tidyAfter
		case <-retry.C:
		case <-c.save:
		}
		n, err := c.saveNow()
		if err != nil {
			retry.Reset(saveRetry)
		}
		if written += n; written >= tidyAfter {
			c.tidy(time.Now())
			written = 0
			tidy.Reset(tidyEvery)
		}
	}
}

// saveNow writes what is not written yet, revocations first: those must be on the
// disk.
func (c *Client) saveNow() (written int, err error) {
	c.mu.Lock()
	all := maps.Clone(c.unsaved)
	log := c.settings.Log
	c.mu.Unlock()
	if len(all) == 0 {
		return 0, nil
	}
	failed := 0
	fail := func(one error) {
		failed++
		err = cmp.Or(err, one)
	}
	if one := os.MkdirAll(c.dir, 0o700); one != nil {
		fail(one)
	}
	ids := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return int(all[b].status) - int(all[a].status) })
	revoked := false
	for _, id := range ids {
		if failed == maxSaveFailures {
			break
		}
		k, path := all[id], c.keptPath(id)
		// A process that is about to be succeeded by this one writes here, too.
		before, readErr := readKept(path)
		if readErr != nil || !before.thisUpdate.After(k.thisUpdate) {
			if one := writeKept(path, k.encode(), k.status == ocsp.Revoked); one != nil {
				fail(one)
				continue
			}
		}
		written++
		revoked = revoked || k.status == ocsp.Revoked
		c.mu.Lock()
		if c.unsaved[id] == k {
			delete(c.unsaved, id)
		}
		c.mu.Unlock()
	}
	if revoked {
		err = cmp.Or(err, syncDir(c.dir))
	}
	if err != nil {
		if c.saveFailures++; c.saveFailures == 1 {
			log.Error("OCSP answers are not kept for a restart", "directory", c.dir, "error", err)
		}
		return written, err
	}
	if c.saveFailures > 0 {
		log.Info("OCSP answers are kept again", "directory", c.dir)
	}
	c.saveFailures = 0
	return written, nil
}

// tidy removes what has lapsed, and of what is too much that which is oldest.
func (c *Client) tidy(now time.Time) {
	c.mu.Lock()
	s, live := c.settings, c.lists[live].Len()
	c.mu.Unlock()
	files, err := os.ReadDir(c.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		s.Log.Warn("kept OCSP answers not tidied", "directory", c.dir, "error", err)
	}
	type one struct {
		path     string
		received time.Time
		size     int
	}
	var kept [2][]one // others, revoked
	for _, f := range files {
		path := filepath.Join(c.dir, f.Name())
		if strings.HasSuffix(f.Name(), keptPart) {
			// What no process is at any more; one writes for a moment only.
			if info, err := f.Info(); err == nil && now.Sub(info.ModTime()).Abs() > tidyEvery {
				os.Remove(path)
			}
			continue
		}
		k, err := readKept(path)
		is := 0
		switch {
		case errors.Is(err, errEmpty):
			os.Remove(path)
			continue
		case err != nil:
			continue // whoever asks about it is told
		case k.status == ocsp.Revoked:
			is = 1
		case now.After(k.expires.Add(ocsp.Skew)):
			os.Remove(path)
			continue
		}
		kept[is] = append(kept[is], one{path, k.received, len(k.response) + keptHead})
	}
	for is, most := range []int{s.MaxEntries + live, s.MaxRevoked} {
		slices.SortFunc(kept[is], func(a, b one) int { return b.received.Compare(a.received) })
		bytes, gone := 0, 0
		for i, k := range kept[is] {
			if bytes += k.size; i >= most || bytes > maxKeptBytes {
				os.Remove(k.path)
				gone++
			}
		}
		if gone > 0 && is == 1 {
			s.Log.Warn("more revoked certificates than OCSP answers are kept of; the oldest are forgotten at a restart", "kept", len(kept[is])-gone, "forgotten", gone)
		}
	}
}
