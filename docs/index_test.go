package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestIndex wants every document in the index.
func TestIndex(t *testing.T) {
	index, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob("*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d documents: %v", len(pages), err)
	}
	for _, page := range pages {
		if page != "README.md" && !strings.Contains(string(index), "("+page+")") {
			t.Errorf("README.md does not name %s", page)
		}
	}
}
