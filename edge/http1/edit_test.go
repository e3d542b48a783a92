package http1

import (
	"fmt"
	"strings"
	"testing"
)

func TestEdits(t *testing.T) {
	set := func(name, value string) Edit { return Edit{SetField, name, value} }
	add := func(name, value string) Edit { return Edit{AddField, name, value} }
	remove := func(name string) Edit { return Edit{Op: RemoveField, Name: name} }
	for _, test := range []struct {
		name  string
		edits Edits
		want  string
	}{
		{"nothing", nil, "A: 1|B: 2|a: 3"},
		{"set replaces every line", Edits{{set("A", "x")}}, "B: 2|A: x"},
		{"set replaces what a target takes for the same", Edits{{set("a", "x"), set("B", "y")}}, "a: x|B: y"},
		{"add keeps", Edits{{add("A", "x")}}, "A: 1|B: 2|a: 3|A: x"},
		{"remove", Edits{{remove("A")}}, "B: 2"},
		{"set after add", Edits{{add("B", "x"), set("B", "y")}}, "A: 1|a: 3|B: y"},
		{"add after set", Edits{{set("B", "x"), add("B", "y")}}, "A: 1|a: 3|B: x|B: y"},
		{"remove after set", Edits{{set("C", "x"), remove("C")}}, "A: 1|B: 2|a: 3"},
		{"set after remove", Edits{{remove("A"), set("A", "x")}}, "B: 2|A: x"},
		{"a later list undoes an earlier one", Edits{{set("C", "x"), add("D", "y")}, {remove("C"), set("D", "z")}}, "A: 1|B: 2|a: 3|D: z"},
		{"the zero edit does nothing", Edits{{Edit{Name: "C"}}}, "A: 1|B: 2|a: 3"},
	} {
		fields := []Field{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}, {Name: "a", Value: "3"}}
		var got []string
		for _, f := range test.edits.Apply(fields) {
			got = append(got, fmt.Sprintf("%s: %s", f.Name, f.Value))
		}
		if text := strings.Join(got, "|"); text != test.want {
			t.Errorf("%s: got %s, want %s", test.name, text, test.want)
		}
	}
}

func TestSameName(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"X-User", "x_user", true}, {"X-User", "X.USER", true}, {"X-User", "X-Users", false},
		{"X-User", "X-Uses", false}, {"X-User", "X0User", false}, {"", "", true},
	} {
		if got := SameName(test.a, test.b); got != test.want {
			t.Errorf("SameName(%q, %q) is %t", test.a, test.b, got)
		}
	}
}
