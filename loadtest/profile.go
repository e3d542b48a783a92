package loadtest

import (
	"crypto/tls"
	"maps"
	"slices"

	utls "github.com/refraction-networking/utls"
)

// profileGo is the ClientHello of the Go that this was built with: the cheapest
// to make, so the one for raw rate.
const profileGo = "go"

// browsers are whose ClientHellos can be sent instead. Only those of golang and
// chrome-psk… resume sessions of TLS 1.3; safari and ios resume none at all.
// Firefox 120 is what there is of Firefox.
var browsers = map[string]utls.ClientHelloID{
	"golang":         utls.HelloGolang,
	"chrome":         utls.HelloChrome_133,
	"chrome-psk":     utls.HelloChrome_115_PQ_PSK,
	"chrome-psk-112": utls.HelloChrome_112_PSK_Shuf,
	"chrome-psk-100": utls.HelloChrome_100_PSK,
	"firefox":        utls.HelloFirefox_120,
	"safari":         utls.HelloSafari_16_0,
	"edge":           utls.HelloEdge_85,
	"ios":            utls.HelloIOS_14,
}

// Profiles returns the names that Plan.Profile may have: go, and then the others
// in the order of their names.
func Profiles() []string {
	return append([]string{profileGo}, slices.Sorted(maps.Keys(browsers))...)
}

var groups = map[string]tls.CurveID{
	"x25519mlkem768": tls.X25519MLKEM768,
	"x25519":         tls.X25519,
	"p256":           tls.CurveP256,
	"p384":           tls.CurveP384,
	"p521":           tls.CurveP521,
}
