package reason

import (
	"strings"
	"testing"
)

// Every code tells the operator what to do, and no two tell the same.
func TestAdvice(t *testing.T) {
	seen := map[string]Code{}
	for _, code := range All() {
		text := code.Advice()
		if !strings.HasSuffix(text, ".") {
			t.Errorf("%s: %q: want a sentence", code, text)
		}
		if other, twice := seen[text]; twice {
			t.Errorf("%s and %s both say %q", code, other, text)
		}
		seen[text] = code
	}
	if Code(250).Advice() != UnmappedConnectionError.Advice() {
		t.Error("a number that is no code has advice of its own")
	}
}
