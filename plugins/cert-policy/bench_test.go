package main

import (
	"testing"

	"github.com/sallyport/sallyport/sdk/sdktest"
)

// BenchmarkAuthorize is a whole round trip: what CEL adds is the difference to the
// SDK's own benchmark.
func BenchmarkAuthorize(b *testing.B) {
	plugin := sdktest.Start(b, &policy{}, section(b, `"payments" in cert.organizational_units && request.method in ["GET", "HEAD"] && request.path.startsWith("/accounts/")`))
	request := sdktest.Request{Connection: sdktest.Connection{Peer: somebody(b)}, Method: "GET", Path: "/accounts/7"}
	b.ReportAllocs()
	for b.Loop() {
		if !plugin.AuthorizeRequest(request).Allowed {
			b.Fatal("denied")
		}
	}
}
