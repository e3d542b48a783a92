package edge

import (
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// A client that floods HTTP/2 leaves its traces: how its connection ended, and a
// count.
func TestFloodIsSeen(t *testing.T) {
	r := newRig(t)
	r.start(verifying())
	conn := r.open("h2")
	io.WriteString(conn, http2.ClientPreface)
	f := http2.NewFramer(conn, conn)
	f.WriteSettings()
	calm := make(chan bool, 1)
	go func() {
		told := false
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				calm <- told
				return
			}
			away, ok := frame.(*http2.GoAwayFrame)
			told = told || ok && away.ErrCode == http2.ErrCodeEnhanceYourCalm
		}
	}()
	for f.WritePing(false, [8]byte{1}) == nil {
	}
	if !<-calm {
		t.Error("the client was not told")
	}
	if end := r.gone(conn); !strings.Contains(end, `"end":"Error"`) || !strings.Contains(end, "too many frames") {
		t.Errorf("the log says %s", end)
	}
	if text := r.scraped(); !strings.Contains(text, `sallyport_http2_floods_total{listener="verify"} 1`) {
		t.Error("the flood is not counted")
	}
}
