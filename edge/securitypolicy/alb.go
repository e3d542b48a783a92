package securitypolicy

import (
	"crypto/tls"
	"slices"
	"strings"
)

// albPolicy is a row of AWS's page on ALB's security policies.
type albPolicy struct {
	name     string // without Prefix
	min, max uint16
	ciphers  []int // rows of ciphers, counted from 1, in AWS's order

	// nearest is for a policy that cannot be had: the one to take in its place,
	// which offers below TLS 1.3 the same suites or, where none does, fewer; and
	// only for want of one, more.
	nearest string
}

// postQuantum says whether the policy offers the hybrid groups: those with PQ in
// their name do.
func (p albPolicy) postQuantum() bool { return strings.Contains(p.name, "-PQ-") }

const (
	v10 = tls.VersionTLS10
	v11 = tls.VersionTLS11
	v12 = tls.VersionTLS12
	v13 = tls.VersionTLS13
)

// The distinct lists of suites, named for what sets them apart.
var (
	tls13Only = []int{1, 2, 3}
	tls13GCM  = []int{1, 2} // FIPS: no ChaCha20

	forwardGCM     = []int{4, 5, 10, 11}
	forwardSHA2    = []int{4, 5, 6, 7, 10, 11, 12, 13}
	forwardAll     = []int{4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 14}
	rsaSHA2        = []int{16, 17, 19, 20}
	rsaAll         = []int{16, 17, 18, 19, 20, 21}
	everything12   = slices.Concat([]int{4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, rsaAll)
	sha2Everything = slices.Concat(forwardSHA2, rsaSHA2)

	// RFC 9151 (CNSA) puts AES-256 first.
	cnsaInterop1 = []int{2, 1, 10, 11, 4, 5}
	cnsaInterop2 = slices.Concat(cnsaInterop1, []int{12, 13, 6, 7})
	cnsaInterop3 = []int{2, 1, 10, 11, 12, 13, 14, 15, 4, 5, 6, 7, 8, 9}
	cnsaInterop4 = slices.Concat(cnsaInterop3, []int{19, 20, 21, 16, 17, 18})
)

var albPolicies = []albPolicy{
	{name: "TLS13-1-3-2021-06", min: v13, max: v13, ciphers: tls13Only},
	{name: "TLS13-1-3-PQ-2025-09", min: v13, max: v13, ciphers: tls13Only},
	{name: "TLS13-1-2-2021-06", min: v12, max: v13, ciphers: slices.Concat(tls13Only, forwardSHA2)},
	{name: "TLS13-1-2-PQ-2025-09", min: v12, max: v13, ciphers: slices.Concat(tls13Only, forwardSHA2)},
	{name: "TLS13-1-2-Res-2021-06", min: v12, max: v13, ciphers: slices.Concat(tls13Only, forwardGCM)},
	{name: "TLS13-1-2-Res-PQ-2025-09", min: v12, max: v13, ciphers: slices.Concat(tls13Only, forwardGCM)},
	{name: "TLS13-1-2-Ext2-2021-06", min: v12, max: v13, ciphers: slices.Concat(tls13Only, everything12)},
	{name: "TLS13-1-2-Ext2-PQ-2025-09", min: v12, max: v13, ciphers: slices.Concat(tls13Only, everything12)},
	{name: "TLS13-1-2-Ext1-2021-06", min: v12, max: v13, ciphers: slices.Concat(tls13Only, sha2Everything)},
	{name: "TLS13-1-2-Ext1-PQ-2025-09", min: v12, max: v13, ciphers: slices.Concat(tls13Only, sha2Everything)},
	{name: "TLS13-1-1-2021-06", min: v11, max: v13, ciphers: slices.Concat(tls13Only, everything12)},
	{name: "TLS13-1-0-2021-06", min: v10, max: v13, ciphers: slices.Concat(tls13Only, everything12)},
	{name: "TLS13-1-0-PQ-2025-09", min: v10, max: v13, ciphers: slices.Concat(tls13Only, everything12)},
	{name: "TLS-1-2-Ext-2018-06", min: v12, max: v12, ciphers: everything12},
	{name: "TLS-1-2-2017-01", min: v12, max: v12, ciphers: sha2Everything},
	{name: "TLS-1-1-2017-01", min: v11, max: v12, ciphers: everything12},
	{name: "2016-08", min: v10, max: v12, ciphers: everything12},

	{name: "TLS13-1-3-FIPS-2023-04", min: v13, max: v13, ciphers: tls13GCM, nearest: "TLS13-1-3-2021-06"},
	{name: "TLS13-1-3-FIPS-PQ-2025-09", min: v13, max: v13, ciphers: tls13GCM, nearest: "TLS13-1-3-PQ-2025-09"},
	{name: "TLS13-1-2-FIPS-2023-04", min: v12, max: v13, ciphers: slices.Concat(tls13GCM, forwardSHA2), nearest: "TLS13-1-2-2021-06"},
	{name: "TLS13-1-2-FIPS-PQ-2025-09", min: v12, max: v13, ciphers: slices.Concat(tls13GCM, forwardSHA2), nearest: "TLS13-1-2-PQ-2025-09"},
	{name: "TLS13-1-2-Res-FIPS-2023-04", min: v12, max: v13, ciphers: slices.Concat(tls13GCM, forwardGCM), nearest: "TLS13-1-2-Res-2021-06"},
	{name: "TLS13-1-2-Res-FIPS-PQ-2025-09", min: v12, max: v13, ciphers: slices.Concat(tls13GCM, forwardGCM), nearest: "TLS13-1-2-Res-PQ-2025-09"},
	{name: "TLS13-1-2-Ext2-FIPS-2023-04", min: v12, max: v13, ciphers: slices.Concat(tls13GCM, forwardAll, rsaAll), nearest: "TLS13-1-2-Ext2-2021-06"},
	{name: "TLS13-1-2-Ext2-FIPS-PQ-2025-09", min: v12, max: v13, ciphers: slices.Concat(tls13GCM, forwardAll, rsaAll), nearest: "TLS13-1-2-Ext2-PQ-2025-09"},
	{name: "TLS13-1-2-Ext1-FIPS-2023-04", min: v12, max: v13, ciphers: slices.Concat(tls13GCM, sha2Everything), nearest: "TLS13-1-2-Ext1-2021-06"},
	{name: "TLS13-1-2-Ext1-FIPS-PQ-2025-09", min: v12, max: v13, ciphers: slices.Concat(tls13GCM, sha2Everything), nearest: "TLS13-1-2-Ext1-PQ-2025-09"},
	{name: "TLS13-1-2-Ext0-FIPS-2023-04", min: v12, max: v13, ciphers: slices.Concat(tls13GCM, forwardAll), nearest: "TLS13-1-2-2021-06"},
	{name: "TLS13-1-2-Ext0-FIPS-PQ-2025-09", min: v12, max: v13, ciphers: slices.Concat(tls13GCM, forwardAll), nearest: "TLS13-1-2-PQ-2025-09"},
	{name: "TLS13-1-1-FIPS-2023-04", min: v11, max: v13, ciphers: slices.Concat(tls13GCM, forwardAll, rsaAll), nearest: "TLS13-1-1-2021-06"},
	{name: "TLS13-1-0-FIPS-2023-04", min: v10, max: v13, ciphers: slices.Concat(tls13GCM, forwardAll, rsaAll), nearest: "TLS13-1-0-2021-06"},
	{name: "TLS13-1-0-FIPS-PQ-2025-09", min: v10, max: v13, ciphers: slices.Concat(tls13GCM, forwardAll, rsaAll), nearest: "TLS13-1-0-PQ-2025-09"},

	{name: "TLS13-1-3-RFC9151-FIPS-2023-07", min: v13, max: v13, ciphers: []int{2}, nearest: "TLS13-1-3-2021-06"},
	{name: "TLS13-1-2-RFC9151-FIPS-2023-07", min: v12, max: v13, ciphers: []int{2, 10, 11}, nearest: "TLS13-1-2-Res-2021-06"},
	{name: "TLS13-1-2-Ext0-RFC9151-FIPS-2023-07", min: v12, max: v13, ciphers: []int{2, 10, 11, 19}, nearest: "TLS13-1-2-Res-2021-06"},
	{name: "TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07", min: v12, max: v13, ciphers: cnsaInterop1, nearest: "TLS13-1-2-Res-2021-06"},
	{name: "TLS13-1-2-RFC9151-INTEROP2-FIPS-2023-07", min: v12, max: v13, ciphers: cnsaInterop2, nearest: "TLS13-1-2-2021-06"},
	{name: "TLS13-1-2-RFC9151-INTEROP3-FIPS-2023-07", min: v12, max: v13, ciphers: cnsaInterop3, nearest: "TLS13-1-2-2021-06"},
	{name: "TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07", min: v12, max: v13, ciphers: cnsaInterop4, nearest: "TLS13-1-2-Ext2-2021-06"},

	{name: "FS-1-2-Res-2020-10", min: v12, max: v12, ciphers: forwardGCM},
	{name: "FS-1-2-Res-2019-08", min: v12, max: v12, ciphers: forwardSHA2},
	{name: "FS-1-2-2019-08", min: v12, max: v12, ciphers: forwardAll},
	{name: "FS-1-1-2019-08", min: v11, max: v12, ciphers: forwardAll},
	{name: "FS-2018-06", min: v10, max: v12, ciphers: forwardAll},
}
