package frame

import "testing"

// BenchmarkCall is a call of about 200 bytes, written and read.
func BenchmarkCall(b *testing.B) {
	b.ReportAllocs()
	room := make([]byte, 0, 4096)
	for b.Loop() {
		dst := Begin(room, Request, 1)
		dst = AppendBool(dst, TagCertVerified, true)
		dst = AppendString(dst, TagCertOrganizationalUnits, "payments")
		dst = AppendString(dst, TagMethod, "GET")
		dst = AppendString(dst, TagPath, "/v1/accounts/4711/transactions")
		dst = AppendHeader(dst, TagHeader, "X-Tenant", "bank")
		dst = End(dst, 0)
		f, _, err := Parse(dst, DefaultMax)
		if err != nil {
			b.Fatal(err)
		}
		it := f.Fields()
		for _, _, ok := it.Next(); ok; _, _, ok = it.Next() {
		}
	}
}

// BenchmarkVerdict is an allow that sets a header, written and read.
func BenchmarkVerdict(b *testing.B) {
	for name, v := range map[string]VerdictBody{
		"plain":  {Decision: Allow},
		"header": {Decision: Allow, TTL: 1e9, Edits: []Edit{{SetHeader, "X-Unit", "payments"}}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			room := make([]byte, 0, 4096)
			for b.Loop() {
				if _, err := ParseVerdict(v.Append(room)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
