// Package sdktest tests plugins through the real wire: a test is the edge, and the
// plugin runs beside it in the same process, or as the program that it is, in any
// language.
//
//	func TestOnlyPayments(t *testing.T) {
//		plugin := sdktest.Start(t, &policy{}, `{"allow": ["payments"]}`)
//		peer := sdktest.NewPeer(t, sdktest.WithOU("payments"))
//		got := plugin.AuthorizeRequest(sdktest.Request{Connection: sdktest.Connection{Peer: peer}})
//		if !got.Allowed || got.Header("X-Unit") != "payments" {
//			t.Errorf("got %v", got)
//		}
//	}
//
// [Conformance] checks what every plugin must stand.
package sdktest
