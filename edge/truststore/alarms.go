package truststore

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sallyport/sallyport/revocation"
)

const (
	// watchEvery is how often the lists' ages are looked at.
	watchEvery = 15 * time.Second
	// shrinkFrom is how many entries a list has to lose to be told of.
	shrinkFrom = 10
	// openLogEvery is how often a store says that it lets clients in without an
	// answer.
	openLogEvery = time.Minute
)

// alarms are what a store tells of by itself.
type alarms struct {
	shrunk     atomic.Uint64 // lists that lost more than a fifth of their entries, and more than ten
	wentBack   atomic.Uint64 // lists refused because they were older
	unknown    atomic.Uint64 // certificates that no CRL could answer for, in handshakes
	openLogged atomic.Int64  // Unix nanoseconds
	announced  map[[sha256.Size]byte]int
	toldCAs    map[[sha256.Size]byte]int // days left, by the CA
}

// AlarmStatus counts what happened since the store was made.
type AlarmStatus struct {
	Shrunk   uint64 `json:"crls_shrunk"`           // lists that lost more than a fifth of their entries, and were taken
	WentBack uint64 `json:"crls_older"`            // lists refused because they were older than those before
	Unknown  uint64 `json:"verdicts_unknown"`      // certificates for which no CRL could answer, in handshakes
	Full     bool   `json:"points_full,omitempty"` // a distribution point was not taken up, for there are too many
}

func (s *Store) alarmStatus() AlarmStatus {
	return AlarmStatus{s.alarms.shrunk.Load(), s.alarms.wentBack.Load(), s.alarms.unknown.Load(), s.points.isFull()}
}

// ages are at which part of a list's time it is told of, and how loudly.
var ages = []struct {
	percent int
	level   slog.Level
	text    string
}{
	{50, slog.LevelInfo, "CRL has used up half of its time"},
	{80, slog.LevelWarn, "CRL has used up four fifths of its time, and no newer one has come"},
	{100, slog.LevelError, "CRL has expired, and no newer one has come"},
}

// watchAges tells of lists and CAs that grow old, until ctx is done.
func (s *Store) watchAges(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		s.announce(s.now())
		s.announceCAs(s.now())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// announce tells once for each list and part of its time. One that a newer one
// has taken the place of is nobody's concern.
func (s *Store) announce(now time.Time) {
	lists := newestLists(listsOf(s.crlsNow()))
	told := make(map[[sha256.Size]byte]int, len(lists))
	for _, l := range lists {
		percent := usedUp(l.ThisUpdate(), l.NextUpdate(), now)
		told[l.Digest()] = s.alarms.announced[l.Digest()]
		for _, age := range slices.Backward(ages) {
			if percent < age.percent {
				continue
			}
			if told[l.Digest()] < age.percent {
				told[l.Digest()] = age.percent
				s.log.Log(context.Background(), age.level, age.text, "issuer", nameOf(l.Issuer()), "scope", l.Scope(),
					"used_percent", percent, "this_update", l.ThisUpdate(), "next_update", l.NextUpdate())
			}
			break
		}
	}
	s.alarms.announced = told
}

// series is what editions of one list have in common, their key left aside.
type series struct {
	issuer revocation.NameKey
	scope  string
	delta  bool
}

func seriesOf(l *revocation.List) series {
	return series{l.IssuerKey(), l.Scope(), l.BaseNumber() != nil}
}

// newestLists leaves out those that a later one of their issuer and scope stands
// in for.
func newestLists(lists []*revocation.List) []*revocation.List {
	latest := map[series]time.Time{}
	for _, l := range lists {
		if of := seriesOf(l); l.ThisUpdate().After(latest[of]) {
			latest[of] = l.ThisUpdate()
		}
	}
	return slices.DeleteFunc(slices.Clone(lists), func(l *revocation.List) bool { return l.ThisUpdate().Before(latest[seriesOf(l)]) })
}

// usedUp is how many per cent of a list's time have passed. One that promises no
// successor has none.
func usedUp(thisUpdate, nextUpdate, now time.Time) int {
	switch {
	case !now.After(thisUpdate):
		return 0
	case !nextUpdate.After(thisUpdate):
		return 100
	}
	return int(now.Sub(thisUpdate).Seconds() / nextUpdate.Sub(thisUpdate).Seconds() * 100)
}

// compareEntries tells of lists that are much shorter than those in whose place
// they come. CAs leave out what has expired, so that is no reason to refuse them.
func (s *Store) compareEntries(f *crlFile, lists []*revocation.List) {
	before := map[series]int{}
	for _, l := range newestLists(f.lists) {
		before[seriesOf(l)] = l.Entries()
	}
	for _, l := range newestLists(lists) {
		was, known := before[seriesOf(l)]
		if known && l.BaseNumber() == nil && l.Entries() < was-max(was/5, shrinkFrom) {
			s.alarms.shrunk.Add(1)
			s.log.Warn("CRL has shrunk", "crl", f.name, "issuer", nameOf(l.Issuer()), "entries_before", was, "entries", l.Entries())
		}
	}
}

// tellOpen says that clients are let in without an answer, now and then.
func (s *Store) tellOpen() {
	now := s.now().UnixNano()
	last := s.alarms.openLogged.Load()
	if now-last < int64(openLogEvery) && now >= last || !s.alarms.openLogged.CompareAndSwap(last, now) {
		return
	}
	s.log.Warn("clients are let in without an answer on their revocation, as configured",
		"on_expired_crl", s.expiredAllowed.Load(), "without_ocsp", s.ocspCounts.softly.Load())
}
