package peers

import (
	"os"
	"testing"
)

func TestConfigurations(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			s := site{Address: "127.1.2.3:8443", Target: "127.1.2.3:8080", PKI: "/run/pki", Dir: t.TempDir(), Root: true}
			file, err := k.write(s)
			if err != nil {
				t.Fatal(err)
			}
			written, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s.Dir = "/run/server"
			text, err := k.render(s)
			if err != nil {
				t.Fatal(err)
			}
			if len(written) == 0 {
				t.Errorf("%s is empty", file)
			}
			golden(t, k.file, string(text))
		})
	}
}
