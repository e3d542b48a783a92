package sallyport_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

var quoted = regexp.MustCompile("`([^`]+)`")

// TestArchitectureNamesEveryFolder compares the table of folders with the tree: every
// package is in it exactly once, by its name or under one that ends in /…, and nothing
// else is. What it says of imports is prose; mayImport is what holds.
func TestArchitectureNamesEveryFolder(t *testing.T) {
	text, err := os.ReadFile("docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Folders\n")
	section, _, ended := strings.Cut(section, "\n## ")
	if !found || !ended {
		t.Fatal("docs/architecture.md has no section of folders")
	}
	named := map[string]int{}
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, name := range quoted.FindAllStringSubmatch(cells[1], -1) {
			named[name[1]]++
		}
	}
	out, err := exec.Command("go", "list", "./...").Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	real := map[string]bool{} // names of the table that something has
	for path := range strings.Lines(string(out)) {
		folder, below := strings.CutPrefix(strings.TrimSpace(path), module)
		if !below {
			continue // the root, which has no row
		}
		times := named[folder]
		real[folder] = true
		for name := range named {
			if parent, all := strings.CutSuffix(name, "…"); all && strings.HasPrefix(folder, parent) {
				times += named[name]
				real[name] = true
			}
		}
		if times != 1 {
			t.Errorf("%s is in the table of folders %d times, want once", folder, times)
		}
	}
	for name := range named {
		if !real[name] {
			t.Errorf("the table of folders names %s, which is no package", name)
		}
	}
	for _, row := range mayImport {
		if strings.Contains(row.folder, ".") { // the root
			continue
		}
		if !real[row.folder] {
			t.Errorf("%s is in the table of imports, and not in that of folders", row.folder)
		}
	}
}
