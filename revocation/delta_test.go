package revocation

import (
	"testing"
	"time"
)

func TestDelta(t *testing.T) {
	ca := newCA(t, "Delta CA")
	hour := time.Hour
	base := func(number int64, at time.Duration, entries ...[]byte) *List {
		return ca.list(t, t0.Add(at), entries, all(numberExt(number)))
	}
	delta := func(base, number int64, at time.Duration, entries ...[]byte) *List {
		return ca.list(t, t0.Add(at), entries, all(numberExt(number), deltaExt(base)))
	}
	hold, lasting := revoke(7, reasonExt(CertificateHold)), revoke(7, reasonExt(KeyCompromise))
	remove := revoke(7, reasonExt(RemoveFromCRL))
	unnumbered := ca.list(t, t0.Add(-2*hour), nil, nil)

	for name, tt := range map[string]struct {
		lists []*List
		want  Status
	}{
		"no base, not listed":               {[]*List{delta(5, 6, 0)}, Unknown},
		"no base, listed":                   {[]*List{delta(5, 6, 0, lasting)}, Revoked},
		"no base, removed":                  {[]*List{delta(5, 6, 0, remove)}, Unknown},
		"adds":                              {[]*List{base(5, -hour), delta(5, 6, 0, lasting)}, Revoked},
		"says nothing":                      {[]*List{base(5, -hour), delta(5, 6, 0)}, Good},
		"base lists":                        {[]*List{base(5, -hour, lasting), delta(5, 6, 0)}, Revoked},
		"lifts a hold":                      {[]*List{base(5, -hour, hold), delta(5, 6, 0, remove)}, Good},
		"does not lift more":                {[]*List{base(5, -hour, lasting), delta(5, 6, 0, remove)}, Revoked},
		"hold becomes lasting":              {[]*List{base(5, -hour, hold), delta(5, 6, 0, lasting)}, Revoked},
		"hold stays":                        {[]*List{base(5, -hour, hold), delta(5, 6, 0)}, Revoked},
		"removes what is not there":         {[]*List{base(5, -hour), delta(5, 6, 0, remove)}, Good},
		"base newer than needed":            {[]*List{base(6, -hour, hold), delta(5, 7, 0, remove)}, Good},
		"base too old to lift":              {[]*List{base(4, -hour, hold), delta(5, 6, 0, remove)}, Revoked},
		"base too old, adds":                {[]*List{base(4, -hour), delta(5, 6, 0, lasting)}, Revoked},
		"base too old, not listed":          {[]*List{base(4, -hour), delta(5, 6, 0)}, Good},
		"base caught up, adds nothing":      {[]*List{base(6, 0), delta(5, 6, 0, lasting)}, Good},
		"base caught up, lifts nothing":     {[]*List{base(6, 0, hold), delta(5, 6, 0, remove)}, Revoked},
		"base overtook":                     {[]*List{base(9, 0), delta(5, 6, -hour, lasting)}, Good},
		"base without number, adds":         {[]*List{unnumbered, delta(5, 6, 0, lasting)}, Revoked},
		"base without number, not listed":   {[]*List{unnumbered, delta(5, 6, 0)}, Good},
		"newest delta decides, removed":     {[]*List{base(5, -hour, hold), delta(5, 6, -hour/2), delta(5, 7, 0, remove)}, Good},
		"newest delta decides, held anew":   {[]*List{base(5, -hour, hold), delta(5, 6, -hour/2, remove), delta(5, 7, 0, hold)}, Revoked},
		"newest delta decides, kept held":   {[]*List{base(5, -hour, hold), delta(5, 6, -hour/2, remove), delta(5, 7, 0)}, Revoked},
		"newest delta drops an older":       {[]*List{base(5, -hour), delta(5, 6, -hour/2, hold), delta(5, 7, 0)}, Good},
		"newest does not apply, older does": {[]*List{base(5, -hour, hold), delta(5, 6, -hour/2, remove), delta(6, 7, 0)}, Good},
		"future delta does not lift":        {[]*List{base(5, -hour, hold), delta(5, 6, hour, remove)}, Revoked},
		"future delta adds":                 {[]*List{base(5, -hour), delta(5, 6, hour, lasting)}, Revoked},
		"delta dated before base":           {[]*List{base(5, 0, hold), delta(5, 6, -hour, remove)}, Revoked},
		"hold in a base of equal rank":      {[]*List{base(5, -hour, hold), base(5, -hour, hold, revoke(1)), delta(5, 6, 0, remove)}, Revoked},
		"not understood does not lift": {[]*List{base(5, -hour, hold), ca.list(t, t0, all(remove),
			all(numberExt(6), deltaExt(5), ext(oidUnheardOf, true)))}, Revoked},
		"other scope does not lift": {[]*List{base(5, -hour, hold), ca.list(t, t0, all(remove),
			all(numberExt(6), deltaExt(5), idpExt(only(1))))}, Revoked},
		"removal and hold in one delta": {[]*List{base(5, -hour), delta(5, 6, 0, remove, hold)}, Revoked},
	} {
		t.Run(name, func(t *testing.T) {
			wantStatus(t, tt.want, ca.link(t, 7), tt.lists...)
			for i, j := 0, len(tt.lists)-1; i < j; i, j = i+1, j-1 {
				tt.lists[i], tt.lists[j] = tt.lists[j], tt.lists[i]
			}
			wantStatus(t, tt.want, ca.link(t, 7), tt.lists...)
		})
	}
}

func TestDeltaDates(t *testing.T) {
	ca := newCA(t, "Delta Dates CA")
	hold := revoke(7, reasonExt(CertificateHold))
	remove := revoke(7, reasonExt(RemoveFromCRL))
	base := ca.list(t, t0.Add(-time.Hour), all(hold), all(numberExt(5)))
	delta := ca.list(t, t0, all(remove), all(numberExt(6), deltaExt(5)))
	if delta.BaseNumber().Int64() != 5 {
		t.Errorf("base number %s", delta.BaseNumber())
	}
	for _, serial := range []int64{7, 8} {
		v := wantStatus(t, Good, ca.link(t, serial), base, delta)
		if !v.ThisUpdate.Equal(t0) || !v.NextUpdate.Equal(t1) || v.Number().Int64() != 6 {
			t.Errorf("%d: dates of list %s", serial, v.Number())
		}
	}
	// A delta that ends before its base does not shorten it, but what only the
	// delta makes good is good no longer than the delta.
	p := ca.base()
	p.next = utc(t0.Add(time.Minute))
	p.revoked, p.extensions = seq(remove), tlv(0xa0, seq(numberExt(6), deltaExt(5)))
	short := parseOne(t, p.der(t, ca))
	if v := wantStatus(t, Good, ca.link(t, 8), base, short); v.List != base {
		t.Errorf("dates of list %s: want the base's", v.Number())
	}
	if v := wantStatus(t, Good, ca.link(t, 7), base, short); v.List != short || !v.NextUpdate.Equal(t0.Add(time.Minute)) {
		t.Errorf("dates of list %s: want the delta's", v.Number())
	}
}
