package config

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with the file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", file, diff)
	}
}

// testFiles runs test for every YAML file in a folder of testdata.
func testFiles(t *testing.T, folder string, test func(t *testing.T, file string, c *Config, problems Problems)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, problems := Parse(filepath.Base(file), data, "/etc/sallyport")
			test(t, file, c, problems)
		})
	}
}

func lines(problems Problems) string {
	if len(problems) == 0 {
		return ""
	}
	return problems.Error() + "\n"
}

func TestBadFiles(t *testing.T) {
	testFiles(t, "bad", func(t *testing.T, file string, c *Config, problems Problems) {
		if problems.Err() == nil {
			t.Error("found no error")
		}
		golden(t, strings.TrimSuffix(file, ".yaml")+".txt", lines(problems))
	})
}

func TestWarnedFiles(t *testing.T) {
	testFiles(t, "warned", func(t *testing.T, file string, c *Config, problems Problems) {
		if err := problems.Err(); err != nil || len(problems.Warnings()) == 0 {
			t.Errorf("want warnings and no errors, got errors: %v", err)
		}
		golden(t, strings.TrimSuffix(file, ".yaml")+".txt", lines(problems))
	})
}

func TestGoodFiles(t *testing.T) {
	testFiles(t, "good", func(t *testing.T, file string, c *Config, problems Problems) {
		if len(problems) > 0 {
			t.Fatalf("want no problems, got:\n%v", problems)
		}
		got, err := json.MarshalIndent(c, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, strings.TrimSuffix(file, ".yaml")+".json", string(got)+"\n")
	})
}

func TestMinimalIsShort(t *testing.T) {
	data, err := os.ReadFile("testdata/good/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), "\n"); n >= 20 {
		t.Errorf("the smallest verify configuration has %d lines, want under 20", n)
	}
}

// TestGoodFilesHaveEveryKey wants every key to be in one of testdata/good.
func TestGoodFilesHaveEveryKey(t *testing.T) {
	written := map[string]bool{}
	testFiles(t, "good", func(t *testing.T, file string, c *Config, problems Problems) {
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		var walk func(path string, v reflect.Value)
		walk = func(path string, v reflect.Value) {
			switch v.Kind() {
			case reflect.Pointer:
				if !v.IsNil() {
					walk(path, v.Elem())
				}
			case reflect.Struct:
				for _, f := range keysOf(v.Type()) {
					key := v.Type().Name() + "." + f.key
					written[key] = written[key] || c.source.wrote(child(path, f.key))
					walk(child(path, f.key), v.Field(f.index))
				}
			case reflect.Map:
				for _, k := range v.MapKeys() {
					walk(child(path, k.String()), v.MapIndex(k))
				}
			case reflect.Slice:
				for i := range v.Len() {
					walk(item(path, i), v.Index(i))
				}
			}
		}
		walk("", reflect.ValueOf(c).Elem())
	})
	for key, ok := range written {
		if !ok {
			t.Errorf("%s is in none of them", key)
		}
	}
}

// TestPositions holds every position against the text of its file.
func TestPositions(t *testing.T) {
	for _, folder := range []string{"good", "warned", "bad"} {
		testFiles(t, folder, func(t *testing.T, file string, c *Config, problems Problems) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text := strings.TrimPrefix(strings.ReplaceAll(string(data), "\r\n", "\n"), "\ufeff")
			for _, p := range problems {
				if p.Line > 0 && rest(text, position{p.Line, p.Column}) == "" {
					t.Errorf("nothing is at the place of: %v", p)
				}
			}
			if c == nil {
				return
			}
			for path, at := range c.source.positions {
				got := rest(text, at)
				if key := path[len(parent(path)):]; strings.HasPrefix(got, strings.Trim(key, `."`)) {
					continue
				}
				if v, ok := lookUp(c, path); ok && !strings.HasPrefix(strings.ToLower(strings.Trim(got, `'"`)), strings.ToLower(v)) {
					t.Errorf("%s: want %q at %d:%d, got %q", path, v, at.line, at.column, got)
				}
			}
		})
	}
}

// rest is what follows a position in its line.
func rest(text string, at position) string {
	lines := strings.Split(text, "\n")
	if at.line > len(lines) {
		return ""
	}
	line := []rune(lines[at.line-1])
	return string(line[min(at.column-1, len(line)):])
}

// lookUp returns the string at path, if a string field is there that is written
// in one line.
func lookUp(c *Config, path string) (string, bool) {
	var found string
	var walk func(at string, v reflect.Value)
	walk = func(at string, v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			if at == path {
				found = v.String()
			}
		case reflect.Pointer:
			if !v.IsNil() {
				walk(at, v.Elem())
			}
		case reflect.Struct:
			for _, f := range keysOf(v.Type()) {
				walk(child(at, f.key), v.Field(f.index))
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(child(at, k.String()), v.MapIndex(k))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(item(at, i), v.Index(i))
			}
		}
	}
	walk("", reflect.ValueOf(c).Elem())
	return found, found != "" && !strings.ContainsAny(found, "\n\"") && !c.source.lost(path)
}
