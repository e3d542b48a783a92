package bpf

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden files anew")

// TestGenerated builds the program again and wants the committed object, byte
// for byte.
func TestGenerated(t *testing.T) {
	for _, command := range []string{"go", "clang-14", "llvm-strip-14"} {
		needCommand(t, command)
	}
	source, err := os.ReadFile("doc.go")
	must(t, err)
	line := regexp.MustCompile(`(?m)^//go:generate go (tool bpf2go) (.*)$`).FindSubmatch(source)
	if line == nil {
		t.Fatal("doc.go says no more how to generate")
	}
	dir := t.TempDir()
	arguments := append(strings.Fields(string(line[1])), "-output-dir", dir)
	command := exec.Command("go", append(arguments, strings.Fields(string(line[2]))...)...)
	command.Env = append(os.Environ(), "GOPACKAGE=bpf")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	for _, name := range []string{"xdp_bpfel.o", "xdp_bpfel.go"} {
		built, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		committed, err := os.ReadFile(name)
		must(t, err)
		if !bytes.Equal(built, committed) {
			t.Errorf("%s is not what the sources build: go generate ./bpf", name)
		}
	}
}

// TestLayout notices when pinned maps would no longer be understood by the
// process that takes them over.
func TestLayout(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "layoutVersion %d\n", layoutVersion)
	for _, of := range []struct {
		name       string
		key, value any
	}{
		{xdpMapHosts, xdpAddress{}, xdpBan{}},
		{xdpMapNetworks, xdpNetwork{}, xdpBan{}},
		{xdpMapExempt, xdpNetwork{}, uint32(0)},
		{xdpMapExemptBytes, uint32(0), uint64(0)},
		{xdpMapScope, xdpEndpoint{}, uint32(0)},
		{xdpMapPorts, uint32(0), xdpListeners{}},
		{xdpMapSettings, uint32(0), xdpSetting{}},
		{xdpMapCounts, uint32(0), xdpCount{}},
	} {
		fmt.Fprintf(&b, "%s: %s -> %s\n", of.name, written(reflect.TypeOf(of.key)), written(reflect.TypeOf(of.value)))
	}
	for v := range Verdicts() {
		fmt.Fprintf(&b, "%d %v\n", v, v)
	}
	for m := Enforce; m <= Off; m++ {
		fmt.Fprintf(&b, "%d %v\n", m, m)
	}
	const golden = "testdata/layout.golden"
	if *update {
		must(t, os.WriteFile(golden, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if got := b.String(); got != string(want) {
		t.Errorf("the layout of the pinned maps is now\n%s\nand was\n%s\nraise layoutVersion, then run this test with -update", got, want)
	}
	for name, want := range map[string]int{xdpMapHosts: 16 + 32, xdpMapNetworks: 24 + 32} {
		spec, err := loadXdp()
		must(t, err)
		if m := spec.Maps[name]; int(m.KeySize+m.ValueSize) != want {
			t.Errorf("an entry of %s has %d bytes, want %d", name, m.KeySize+m.ValueSize, want)
		}
	}
}

// written describes a type by what it is in memory.
func written(t reflect.Type) string {
	if t.Kind() != reflect.Struct {
		return t.Kind().String()
	}
	var fields []string
	for i := range t.NumField() {
		if f := t.Field(i); f.Type.Size() > 0 {
			fields = append(fields, fmt.Sprintf("%s@%d %s", f.Name, f.Offset, written(f.Type)))
		}
	}
	return fmt.Sprintf("%d{%s}", binary.Size(reflect.Zero(t).Interface()), strings.Join(fields, ", "))
}

func TestEveryVerdictHasAName(t *testing.T) {
	seen := make(map[string]bool)
	for v := range Verdicts() {
		if name := v.String(); name == "" || seen[name] || strings.HasPrefix(name, "drop_") != v.Dropped() {
			t.Errorf("verdict %d is called %q", v, name)
		}
		seen[v.String()] = true
	}
	if len(seen) != int(xdpVerdictVERDICTS) {
		t.Errorf("%d names of %d verdicts", len(seen), xdpVerdictVERDICTS)
	}
}
