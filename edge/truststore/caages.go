package truststore

import (
	"crypto/sha256"
	"log/slog"
	"time"
)

// caDays are the days left at which it is told that a CA comes to its end, as it is of
// the edge's own certificates.
var caDays = []int{45, 30, 15, 7, 1}

// caDaysLeft returns the smallest of caDays that is not below the time left, 0 for none
// and -1 for a CA that has expired.
func caDaysLeft(notAfter, now time.Time) (days int) {
	if now.After(notAfter) {
		return -1
	}
	for _, n := range caDays {
		if notAfter.Sub(now) <= time.Duration(n)*24*time.Hour {
			days = n
		}
	}
	return days
}

// announceCAs tells once for each CA and number of days, and of its end.
func (s *Store) announceCAs(now time.Time) {
	g := s.gen.Load()
	if g == nil {
		return
	}
	told := make(map[[sha256.Size]byte]int, len(g.anchors.certs))
	for _, ca := range g.anchors.certs {
		id := sha256.Sum256(ca.Raw)
		days := caDaysLeft(ca.NotAfter, now)
		if told[id] = days; days == 0 || days == s.alarms.toldCAs[id] {
			continue
		}
		log := s.log.With(slog.String("ca", nameOf(ca.RawSubject)), slog.Time("not_after", ca.NotAfter))
		if days < 0 {
			log.Error("CA has expired; its clients are refused")
		} else {
			log.Warn("CA comes to its end", "days_left", days)
		}
	}
	s.alarms.toldCAs = told
}
