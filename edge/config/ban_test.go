package config

import "testing"

func TestWeight(t *testing.T) {
	for _, test := range []struct {
		text string
		want Weight
		back string
	}{
		{"0", 0, "0"},
		{"1", 1000, "1"},
		{"0.1", 100, "0.1"},
		{"0.050", 50, "0.05"},
		{"2.125", 2125, "2.125"},
		{"1000", 1000_000, "1000"},
	} {
		var w Weight
		if err := w.UnmarshalText([]byte(test.text)); err != nil || w != test.want || w.String() != test.back {
			t.Errorf("%s: got %d, %s, %v", test.text, w, w, err)
		}
	}
	for _, text := range []string{"", ".", ".5", "1.", "01", "-1", "+1", "1e3", "0x1", "1,5", "1000.001", "1001", "10000", "0.0001", "NaN", "٣"} {
		w := Weight(7)
		if err := w.UnmarshalText([]byte(text)); err == nil || w != 7 {
			t.Errorf("%s was taken as %v", text, w)
		}
	}
}
