package pluginhost

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// bytes is how much of the cache is used, counted anew.
func (c *cache) bytes() (n int) {
	for i := range c.shards {
		for _, e := range c.shards[i].entries {
			if e.verdict != nil {
				n += len(e.key) + e.verdict.size
			}
		}
	}
	return n
}

// TestCacheBytesAreBounded: the longest keys, as clients like them, must not take
// what so many entries of them would.
func TestCacheBytesAreBounded(t *testing.T) {
	for _, test := range []struct {
		name      string
		key, size int
	}{
		{"keys", 4 << 10, 0},
		{"verdicts", 16, 4 << 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			const entries, limit = 512, 256 << 10
			c := newCache(entries, limit, 0)
			ask := func(i int) *question {
				key := fmt.Sprintf("%d %s", i, strings.Repeat("k", test.key))
				return &question{hook: OnRequest, body: []byte(key), ends: []int{len(key)}}
			}
			v := &verdict{allow: true, mask: everything, size: test.size}
			for i := range 4 * entries {
				q := ask(i)
				c.put(q, v, nil, time.Hour, 0)
				if c.get(q) == nil {
					t.Fatalf("the newest, %d, is not kept", i)
				}
				if i%64 == 0 {
					c.put(q, v, nil, time.Hour, 0) // in its own place: counted once
				}
			}
			if n := c.bytes(); n > limit || n < limit/2 {
				t.Errorf("%d bytes, want at most %d, and no less than half", n, limit)
			}
			total := 0
			for i := range c.shards {
				total += c.shards[i].size
			}
			if n := c.bytes(); total != n {
				t.Errorf("%d bytes are counted, and there are %d", total, n)
			}
			c.forget(nil)
			if n := c.len(); n != 0 || c.bytes() != 0 || c.shards[0].size != 0 {
				t.Errorf("%d entries are left", n)
			}
			q := ask(0)
			if c.put(q, v, nil, time.Hour, c.version.Load()); c.get(q) == nil {
				t.Error("nothing is kept after all was forgotten")
			}
		})
	}
}

// TestCacheKeepsNothingOverItsSize, and what is there stays.
func TestCacheKeepsNothingOverItsSize(t *testing.T) {
	c := newCache(4, 100, 0)
	small, big := &question{body: []byte("small"), ends: []int{5}}, &question{body: []byte("big"), ends: []int{3}}
	c.put(small, plainAllow, nil, time.Hour, 0)
	c.put(big, &verdict{allow: true, mask: everything, size: 98}, nil, time.Hour, 0)
	if c.get(big) != nil || c.get(small) == nil {
		t.Error("want the small one only")
	}
}

// TestVerdictSize: all of a verdict's texts are one copy of its body, and keep it.
func TestVerdictSize(t *testing.T) {
	value := strings.Repeat("v", 1000)
	r, c, _ := lasting(t, []string{"request.path"}, nil)
	c.verdict.Edits = []frame.Edit{{Op: frame.SetHeader, Name: "X-Unit", Value: value}}
	r.ask(connection(), get("/"))
	kept := r.chain.plugins[0].current.Load().cache
	if n := kept.bytes(); kept.len() != 1 || n < len(value) || n > len(value)+300 {
		t.Errorf("%d bytes in %d entries, want a little over %d in 1", n, kept.len(), len(value))
	}
	size := 0
	for i := range kept.shards {
		if kept.shards[i].limit*len(kept.shards) != cacheBytes {
			t.Errorf("room for %d bytes in each of %d shards, want %d in all", kept.shards[i].limit, len(kept.shards), cacheBytes)
		}
		size += kept.shards[i].size
	}
	if size != kept.bytes() {
		t.Errorf("%d bytes are counted, and there are %d", size, kept.bytes())
	}
}

// TestInvalidateOfWhatHoldsForMany: an allow that was kept under a key without the
// certificate answers for the client who was invalidated, whoever was asked about.
func TestInvalidateOfWhatHoldsForMany(t *testing.T) {
	for _, test := range []struct {
		name    string
		depends []string
		want    int64 // calls, after alice and bob were asked about once more
	}{
		{"a path", []string{"request.path"}, 2},
		{"nothing", []string{}, 2},
		{"the units, which others have too", []string{"cert.organizational_units"}, 2},
		{"the hash", []string{"cert.sha256"}, 3},
		{"the certificate", []string{"cert.der", "request.path"}, 3},
		{"everything", nil, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, c, f := lasting(t, []string{"cert.sha256", "cert.der", "cert.organizational_units", "request.path"}, nil)
			c.verdict.Depends = test.depends
			ask := func() {
				r.ask(verified("bob"), get("/")) // whose entry it is, where there is one for both
				r.ask(verified("alice"), get("/"))
			}
			ask()
			before := r.chain.Version()
			body := frame.InvalidateBody{One: true, Leaf: sha256.Sum256([]byte("alice"))}
			f.peer().send(frame.End(body.Append(frame.Begin(nil, frame.Invalidate, 0)), 0))
			r.await("invalidated", func() bool { return r.chain.Version() != before })
			ask()
			ask()
			c.wants(t, test.want, "both, again")
		})
	}
}
