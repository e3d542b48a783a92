package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sallyport/sallyport/loadtest"
)

// formatVersion is of the JSON that this package reads.
const formatVersion = 1

// Read reads one result in JSON, to the end of r. A field that it does not know
// is passed over: a newer generator may say more.
func Read(r io.Reader) (*loadtest.Result, error) {
	decoder := json.NewDecoder(r)
	var result *loadtest.Result
	if err := decoder.Decode(&result); err != nil {
		return nil, fmt.Errorf("parse result: %w", err)
	}
	if result == nil || result.Version != formatVersion {
		got := 0
		if result != nil {
			got = result.Version
		}
		return nil, fmt.Errorf("parse result: version %d: want %d, as sallyload run --json writes it", got, formatVersion)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("parse result: there is more after it: want one result")
	}
	for i, s := range result.Seconds {
		if s.At < 0 || s.At > int(loadtest.MaxDuration/time.Second) || i > 0 && s.At <= result.Seconds[i-1].At {
			return nil, fmt.Errorf("parse result: seconds[%d].at %d: want them rising from 0, within %s", i, s.At, loadtest.MaxDuration)
		}
	}
	return result, nil
}
