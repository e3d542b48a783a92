package pluginhost

import (
	"sync"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// call is one question to one plugin, with all that it needs: it is used again
// and again, so that asking allocates nothing.
type call struct {
	frame []byte // the whole frame; its id is set when it is sent
	ends  []int  // of its fields, from the end of the head
	q     question

	id       uint32
	canary   bool
	answered chan struct{} // one for each send that was not given up
	timer    *time.Timer
	// Set before answered.
	verdict *verdict
	failure Failure
}

var calls = sync.Pool{New: func() any {
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return &call{answered: make(chan struct{}, 1), timer: timer}
}}

// maxKeptFrame is the largest buffer that is kept for the next call.
const maxKeptFrame = 16 << 10

func newCall() *call {
	k := calls.Get().(*call)
	k.verdict, k.failure, k.canary = nil, 0, false
	return k
}

func (k *call) release() {
	if cap(k.frame) > maxKeptFrame || cap(k.q.room) > maxKeptFrame {
		k.frame, k.q.room = nil, nil
	}
	k.verdict = nil
	k.q = question{room: k.q.room}
	calls.Put(k)
}

// types are those of the frames by which hooks are called.
var types = [hooks]frame.Type{OnConnection: frame.Connection, OnRequest: frame.Request, OnResponse: frame.Response}

// compose makes the frame of a subject's declared fields.
func (k *call) compose(n *needs, t frame.Type, s *subject) {
	told := s.connection.encode(n)
	k.frame = frame.Begin(k.frame[:0], t, 0)
	k.frame = append(k.frame, told.bytes...)
	k.ends = append(k.ends[:0], told.ends...)
	if s.request != nil {
		for _, need := range n.list[n.request:n.response] {
			k.frame = s.request.append(k.frame, need)
			k.ends = append(k.ends, len(k.frame)-frame.HeaderSize)
		}
	}
	if t == frame.Response || t == frame.Observe {
		for _, need := range n.list[n.response:] {
			k.frame = appendResponse(k.frame, need, s.response, s.edits)
			k.ends = append(k.ends, len(k.frame)-frame.HeaderSize)
		}
	}
	k.frame = frame.End(k.frame, 0)
}
