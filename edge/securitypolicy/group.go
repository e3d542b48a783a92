package securitypolicy

import (
	"crypto/tls"
	"fmt"
)

// AWS documents no classical groups: these are all that crypto/tls has. They are
// listed even where nothing else is, because no list means crypto/tls's default,
// hybrids included.
var (
	classicalGroups = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}
	hybridGroups    = []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}
)

// group is a key exchange group, as configurations name it and as logs do.
type group struct {
	id          tls.CurveID
	config, log string
}

var groups = []group{
	{tls.X25519, "X25519", "x25519"},
	{tls.CurveP256, "P-256", "secp256r1"},
	{tls.CurveP384, "P-384", "secp384r1"},
	{tls.CurveP521, "P-521", "secp521r1"},
	{tls.X25519MLKEM768, "X25519MLKEM768", "X25519MLKEM768"},
	{tls.SecP256r1MLKEM768, "SecP256r1MLKEM768", "SecP256r1MLKEM768"},
	{tls.SecP384r1MLKEM1024, "SecP384r1MLKEM1024", "SecP384r1MLKEM1024"},
}

// GroupName returns the name of a key exchange group for ALB's tls_keyexchange
// field: that of IANA's registry of TLS supported groups, as AWS logs it where it
// says how (x25519 and X25519MLKEM768 in CloudTrail's tlsDetails.keyExchange).
// Zero, for a key exchange without a group (RSA's), is "", and an unknown one is
// 0x and its hex.
func GroupName(id tls.CurveID) string {
	if id == 0 {
		return ""
	}
	for _, g := range groups {
		if g.id == id {
			return g.log
		}
	}
	return fmt.Sprintf("0x%04X", uint16(id))
}
