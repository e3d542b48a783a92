package frame

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// FuzzFrames gives a stream of bytes to the codec as both sides would read it:
// nothing may crash, what is refused is refused as malformed, and what is taken
// says the same when it is written anew.
func FuzzFrames(f *testing.F) {
	var all []byte
	for _, v := range vectors(f) {
		f.Add(v.bytes)
		all = append(all, v.bytes...)
	}
	f.Add(all)
	f.Fuzz(func(t *testing.T, stream []byte) {
		for len(stream) > 0 {
			frame, n, err := Parse(stream, DefaultMax)
			if err != nil {
				if !errors.Is(err, ErrMalformed) || n != 0 {
					t.Fatalf("%d bytes, error %v", n, err)
				}
				return
			}
			if n == 0 {
				return
			}
			checkFrame(t, frame, stream[:n])
			stream = stream[n:]
		}
	})
}

func checkFrame(t *testing.T, f Frame, whole []byte) {
	it := f.Fields()
	again := Begin(nil, f.Type, f.ID)
	for tag, value, ok := it.Next(); ok; tag, value, ok = it.Next() {
		again = AppendField(again, tag, value)
	}
	if it.Err() == nil && !bytes.Equal(End(again, 0), whole) {
		t.Fatalf("%v: written anew % x, was % x", f.Type, again, whole)
	}
	body, err := parseBody(f)
	switch {
	case err != nil && !errors.Is(err, ErrMalformed):
		t.Fatalf("%v: error %v", f.Type, err)
	case err != nil || body == nil:
		return
	case it.Err() != nil:
		t.Fatalf("%v: a body was taken that is %v", f.Type, it.Err())
	}
	second, err := parseBody(Frame{f.Type, f.ID, body.Append(nil)})
	if err != nil || !reflect.DeepEqual(body, second) {
		t.Fatalf("%v: %+v, written anew %+v, error %v", f.Type, body, second, err)
	}
	if v, ok := body.(*VerdictBody); ok {
		checkVerdict(t, v)
	}
}

// checkVerdict holds what the host relies on.
func checkVerdict(t *testing.T, v *VerdictBody) {
	size := 0
	for _, e := range v.Edits {
		size += len(e.Name) + len(e.Value)
		if !IsToken(e.Name) || !IsValue(e.Value) || e.Op == 0 || e.Op == RemoveHeader && e.Value != "" {
			t.Fatalf("edit %+v", e)
		}
	}
	if len(v.Edits) > MaxEdits || size > MaxEditBytes || !IsPrintable(v.Reason) || len(v.Reason) > MaxReason {
		t.Fatalf("over the bounds: %+v", v)
	}
	if v.Decision != Allow && v.Decision != Deny || v.TTL < 0 || v.TTL > MaxTTL || v.Ban < 0 || v.Ban > MaxBan {
		t.Fatalf("over the bounds: %+v", v)
	}
	if deny := v.Decision == Deny; deny != (v.Status >= 400 && v.Status <= 599) {
		t.Fatalf("status %d of decision %d", v.Status, v.Decision)
	}
}
