package sdk

import (
	"slices"
	"testing"

	"github.com/sallyport/sallyport/sdk/frame"
	"github.com/sallyport/sallyport/sdk/frame/frametest"
)

// TestManyFrames feeds a plugin fuzzed frames, each behind a call that is good: in
// order that is answered, whatever comes after it.
func TestManyFrames(t *testing.T) {
	waits := frame.End(frame.AppendBool(frame.Begin(nil, frame.Connection, 9), frame.TagResumed, true), 0)
	configure := frame.ConfigureBody{Protocol: frame.Protocol, MaxFrame: frame.DefaultMax}
	fuzzer := frametest.New(
		fuzzedCall(frame.Connection, 2), fuzzedCall(frame.Request, 2), fuzzedCall(frame.Response, 2), fuzzedCall(frame.Observe, 0),
		frame.Append(waits, frame.Cancel, 9), frame.Append(nil, frame.Ping, 3), frame.Append(nil, frame.GoAway, 0),
		frame.End(configure.Append(frame.Begin(nil, frame.Configure, 0)), 0),
	)
	good := fuzzedCall(frame.Request, 1)
	refused := 0
	for n := range frametest.Count() {
		fuzzed := fuzzer.Next()
		concurrent := n%2 == 1
		said := tell(t, concurrent, slices.Concat(good, fuzzed))
		if !concurrent && !answers(said, 1) {
			t.Fatalf("frame %d, %x: the call before it was not answered", n, fuzzed)
		}
		if _, whole, err := frame.Parse(fuzzed, frame.DefaultMax); err != nil || whole == 0 {
			refused++
		}
		if t.Failed() {
			t.Fatalf("frame %d: %x", n, fuzzed)
		}
	}
	// Most must come through to what they are about, and not all.
	if n := frametest.Count(); refused < n/50 || refused > n/2 {
		t.Errorf("of %d frames %d were refused by their heads", n, refused)
	}
}

// answers says whether a call has a verdict.
func answers(said []byte, id uint32) bool {
	for len(said) > 0 {
		f, n, err := frame.Parse(said, frame.DefaultMax)
		if err != nil || n == 0 {
			return false
		}
		if f.Type == frame.Verdict && f.ID == id {
			return true
		}
		said = said[n:]
	}
	return false
}
