package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/edge/admin"
)

// TestBansOfNoEdge: where nobody answers there is no table, which would say that
// nobody is banned, and the error says what is the matter.
func TestBansOfNoEdge(t *testing.T) {
	var out bytes.Buffer
	err := printBans(t.Context(), admin.NewClient(filepath.Join(t.TempDir(), "admin.sock")), &out)
	if err == nil || !strings.Contains(err.Error(), "no edge answers") || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "array") {
		t.Errorf("got error %v", err)
	}
	if out.Len() > 0 {
		t.Errorf("printed %q", &out)
	}
}
