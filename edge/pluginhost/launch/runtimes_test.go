package launch

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport/sallyport/sdk/frame"
)

// The interpreters that plugins are written for start in the strictest sandbox,
// and their programs say their HELLO: also where seccomp has to deny the signals.
func TestInterpretersStart(t *testing.T) {
	for _, c := range []struct{ interpreter, script string }{
		{"python3", "python/ou_policy.py"}, {"node", "node/ou-policy.js"},
	} {
		t.Run(c.interpreter, func(t *testing.T) {
			interpreter := "/usr/bin/" + c.interpreter
			if _, err := os.Stat(interpreter); err != nil {
				skip(t, interpreter)
			}
			script, err := filepath.Abs("../../../plugins/examples/" + c.script)
			if err != nil {
				t.Fatal(err)
			}
			for _, sandbox := range []Sandbox{
				{Require: []string{MeasureLandlock, MeasureSeccomp, MeasureNetwork}},
				{AllFiles: true, Require: []string{MeasureSeccomp, MeasureNetwork}},
			} {
				f := newFixture(t, "")
				f.spec.Command = []string{interpreter, script}
				f.spec.Sandbox = sandbox
				p := f.start()
				if err := p.Conn().SetReadDeadline(time.Now().Add(patience)); err != nil {
					t.Fatal(err)
				}
				head := make([]byte, frame.HeaderSize)
				if _, err := io.ReadFull(p.Conn(), head); err != nil {
					t.Fatalf("hear from %s: %v", c.script, err)
				}
				if frame.Type(head[4]) != frame.Hello {
					t.Errorf("%s began with % x, want a HELLO", c.script, head)
				}
				said := detail(p.Report(), MeasureSeccomp)
				if got := strings.Contains(said, "signals"); sandbox.AllFiles && !got {
					t.Errorf("the report has no word on signals: %s", said)
				}
			}
		})
	}
}
