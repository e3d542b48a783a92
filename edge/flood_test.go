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
	// It waits for the answers of each hundred. One that does not has sent more than
	// the edge reads before it closes, and the word may be lost to it.
	told, answers := false, 0
	for !told {
		for range 100 {
			if err := f.WritePing(false, [8]byte{1}); err != nil {
				t.Fatalf("not told, after %d answers: %v", answers, err)
			}
		}
		for due := answers + 100; answers < due && !told; {
			frame, err := f.ReadFrame()
			if err != nil {
				t.Fatalf("not told, after %d answers: %v", answers, err)
			}
			switch frame := frame.(type) {
			case *http2.PingFrame:
				answers++
			case *http2.GoAwayFrame:
				told = frame.ErrCode == http2.ErrCodeEnhanceYourCalm
			}
		}
	}
	if end := r.gone(conn); !strings.Contains(end, `"end":"Error"`) || !strings.Contains(end, "too many frames") {
		t.Errorf("the log says %s", end)
	}
	if text := r.scraped(); !strings.Contains(text, `sallyport_client_floods_total{listener="verify"} 1`) {
		t.Error("the flood is not counted")
	}
}
