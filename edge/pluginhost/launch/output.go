package launch

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	longestLine  = 4 << 10 // bytes kept of a line
	burstOfLines = 200
	linesASecond = 50
	longestWords = 256 // bytes of last words
)

// output turns what the program writes into go-plugin's log lines. It always
// reads on, whatever becomes of the lines, so that a program that says much is not
// held up, and never passes a line on as it is: go-plugin takes a line of JSON for
// its own, and does not survive every one.
type output struct {
	pending sync.WaitGroup
	readers []*os.File

	mu      sync.Mutex
	to      io.Writer
	tokens  float64
	last    time.Time // of the tokens' count
	dropped int
	words   string // last line on standard error
}

func newOutput(to io.Writer) *output {
	return &output{to: to, tokens: burstOfLines}
}

// pipes starts forwarding, and returns the ends to be written to.
func (o *output) pipes() (stdout, stderr *os.File, err error) {
	var ends []*os.File
	for _, stream := range []string{"stdout", "stderr"} {
		r, w, err := os.Pipe()
		if err != nil {
			for _, end := range ends {
				end.Close()
			}
			return nil, nil, fmt.Errorf("make a pipe for the program's output: %w", err)
		}
		o.readers = append(o.readers, r)
		ends = append(ends, w)
		o.pending.Go(func() { o.forward(stream, r) })
	}
	return ends[0], ends[1], nil
}

// finish returns when all that was written has been forwarded, which is soon if
// whoever could write has ended, and a second later if not.
func (o *output) finish() {
	deadline := time.Now().Add(time.Second)
	for _, r := range o.readers {
		_ = r.SetReadDeadline(deadline)
	}
	o.pending.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tellDropped()
}

func (o *output) lastWords() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.words
}

// forward reads lines until the end or an error, which the end of all writers or
// finish brings about.
func (o *output) forward(stream string, r io.Reader) {
	lines := bufio.NewReaderSize(r, longestLine)
	for {
		line, err := lines.ReadSlice('\n')
		cut := errors.Is(err, bufio.ErrBufferFull)
		if len(line) > 0 {
			o.line(stream, bytes.TrimRight(line, "\r\n"), cut, time.Now())
		}
		for cut { // the rest of a line that is too long
			_, err = lines.ReadSlice('\n')
			cut = errors.Is(err, bufio.ErrBufferFull)
		}
		if err != nil {
			return
		}
	}
}

// line forwards one, if there is room for it at now.
func (o *output) line(stream string, line []byte, cut bool, now time.Time) {
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if stream == "stderr" {
		o.words = strings.ToValidUTF8(string(line[:min(len(line), longestWords)]), string(utf8.RuneError))
	}
	if !o.last.IsZero() {
		o.tokens = min(burstOfLines, o.tokens+linesASecond*now.Sub(o.last).Seconds())
	}
	o.last = now
	if o.tokens < 1 {
		o.dropped++
		return
	}
	o.tokens--
	o.tellDropped()
	entry := entryOf(stream, line)
	entry["stream"] = stream
	if cut {
		entry["cut"] = true
	}
	o.write(entry)
}

// entryOf is go-plugin's form of a line: @level, @message, and what else there is
// under fields.
func entryOf(stream string, line []byte) map[string]any {
	if line[0] == '{' {
		if entry := structured(line); entry != nil {
			return entry
		}
	}
	level := "info"
	if stream == "stderr" {
		level = "warn"
	}
	return map[string]any{"@level": level, "@message": string(line)}
}

// structured is nil for a line that is not of JSON, with a level and a message as
// log/slog, hclog and many others call them.
func structured(line []byte) map[string]any {
	var fields map[string]any
	if json.Unmarshal(line, &fields) != nil {
		return nil
	}
	take := func(names ...string) (string, bool) {
		for _, name := range names {
			if s, ok := fields[name].(string); ok {
				delete(fields, name)
				return s, true
			}
		}
		return "", false
	}
	message, ok := take("msg", "message", "@message")
	if !ok {
		return nil
	}
	name, _ := take("level", "@level", "severity", "levelname")
	entry := map[string]any{"@level": levelOf(name), "@message": message}
	delete(fields, "time") // the edge has its own
	delete(fields, "@timestamp")
	if len(fields) > 0 {
		entry["fields"] = fields
	}
	return entry
}

// levelOf knows names with and without an offset, such as slog's INFO+2.
func levelOf(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(name), "+")
	switch name {
	case "trace", "debug", "warn", "error":
		return name
	case "warning":
		return "warn"
	case "fatal", "panic", "critical", "alert", "emergency":
		return "error"
	}
	return "info"
}

func (o *output) tellDropped() {
	if o.dropped == 0 {
		return
	}
	o.write(map[string]any{"@level": "warn", "@message": "lines dropped: the plugin writes too many", "lines": o.dropped})
	o.dropped = 0
}

func (o *output) write(entry map[string]any) {
	// What came from JSON can be written as JSON. And there is nobody to tell of an
	// edge that no longer reads.
	encoded, _ := json.Marshal(entry)
	_, _ = o.to.Write(append(encoded, '\n'))
}
