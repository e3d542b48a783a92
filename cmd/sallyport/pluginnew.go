package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport"
)

func pluginNewCommand() *cobra.Command {
	var language, sdk string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write a plugin that works, to begin with",
		Long: "Write a plugin that works into a new directory NAME, with cases to test it. What it needs to be\n" +
			"built is there: a Go plugin has this program's own copy of the SDK in its vendor directory, so\n" +
			"that no network is needed; Python and Node plugins need their interpreter and nothing else.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%d arguments: want NAME", len(args))}
			}
			if !pluginName.MatchString(args[0]) {
				return usageError{fmt.Errorf("name %q: want a letter, then letters, digits and hyphens, 64 at most, in lower case", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			write := map[string]func(*scaffold) error{"go": (*scaffold).goPlugin, "python": (*scaffold).pythonPlugin, "node": (*scaffold).nodePlugin}[language]
			if write == nil {
				return usageError{fmt.Errorf("--lang %q: want go, python or node", language)}
			}
			if sdk != "" && language != "go" {
				return usageError{errors.New("--sdk: only for --lang go")}
			}
			s := &scaffold{name: args[0], sdk: sdk, files: map[string][]byte{}}
			if err := write(s); err != nil {
				return err
			}
			return s.write(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&language, "lang", "go", "`language`: go, python or node")
	cmd.Flags().StringVar(&sdk, "sdk", "", "`directory` of Sallyport's source to build with, in the place of a copy of the SDK")
	return cmd
}

var pluginName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

// scaffold is a plugin that is about to be written.
type scaffold struct {
	name  string
	sdk   string
	files map[string][]byte // by their names in the new directory
	run   string            // the program, once it is built
	steps []string          // what to do next
}

const modulePath = "github.com/sallyport/sallyport"

// example takes a file of the examples, and puts the new name in the place of
// theirs.
func (s *scaffold) example(from, to string) error {
	text, err := sallyport.Source.ReadFile("plugins/examples/" + from)
	if err != nil {
		return fmt.Errorf("find the example: %w", err)
	}
	text = bytes.ReplaceAll(text, []byte("ou-policy"), []byte(s.name))
	s.files[to] = bytes.ReplaceAll(text, []byte("sdk/FRAMES.md"), []byte("FRAMES.md"))
	return nil
}

func (s *scaffold) goPlugin() error {
	mod := fmt.Sprintf("module %s\n\ngo 1.26.0\n\nrequire %s %s\n", s.name, modulePath, sdkVersion())
	s.steps = []string{"go test ./...", "go build"}
	s.run = "./" + s.name
	s.files[".gitignore"] = []byte("/" + s.name + "\n")
	if s.sdk != "" {
		dir, err := filepath.Abs(s.sdk)
		if err != nil {
			return fmt.Errorf("find the SDK: %w", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "sdk", "sdktest")); err != nil {
			return fmt.Errorf("find the SDK: %s is not Sallyport's source: %w", s.sdk, err)
		}
		mod += fmt.Sprintf("\nreplace %s => %s\n", modulePath, dir)
	} else if err := s.vendor(); err != nil {
		return err
	}
	s.files["go.mod"] = []byte(mod)
	return errors.Join(s.example("go/main.go", "main.go"), s.example("go/main_test.go", "main_test.go"), s.cases())
}

// vendor puts the SDK beside the plugin, as go mod vendor would.
func (s *scaffold) vendor() error {
	list := fmt.Sprintf("# %s %s\n## explicit; go 1.26.0\n", modulePath, sdkVersion())
	for _, dir := range []string{"sdk", "sdk/frame", "sdk/sdktest"} {
		list += modulePath + "/" + dir + "\n"
		names, err := fs.Glob(sallyport.Source, dir+"/*.go")
		if err != nil || len(names) == 0 {
			return fmt.Errorf("find the SDK's source: %w", err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := sallyport.Source.ReadFile(name)
			if err != nil {
				return fmt.Errorf("find the SDK's source: %w", err)
			}
			s.files[path.Join("vendor", modulePath, name)] = text
		}
	}
	s.files["vendor/modules.txt"] = []byte(list)
	return nil
}

var released = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+$`)

// sdkVersion is what the plugin's go.mod asks for. That of a build which is no
// release nobody can download; with the SDK vendored nobody need.
func sdkVersion() string {
	if v := version(); released.MatchString(v) {
		return v
	}
	return "v0.0.0"
}

func (s *scaffold) pythonPlugin() error {
	program := s.name + ".py"
	s.run = "./" + program
	return errors.Join(s.example("python/ou_policy.py", program), s.cases(), s.frames())
}

func (s *scaffold) nodePlugin() error {
	program := s.name + ".js"
	s.run = "./" + program
	return errors.Join(s.example("node/ou-policy.js", program), s.cases(), s.frames())
}

func (s *scaffold) cases() error { return s.example("cases.yaml", "cases.yaml") }

// frames is the description of the wire, for plugins that speak it themselves.
func (s *scaffold) frames() error {
	text, err := sallyport.Source.ReadFile("sdk/FRAMES.md")
	s.files["FRAMES.md"] = text
	return err
}

// write makes the directory, which must not be there, and all in it.
func (s *scaffold) write(out io.Writer) error {
	if err := os.Mkdir(s.name, 0o755); err != nil {
		return fmt.Errorf("make a directory for the plugin: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		to := filepath.Join(s.name, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return fmt.Errorf("write the plugin: %w", err)
		}
		mode := fs.FileMode(0o644)
		if bytes.HasPrefix(s.files[name], []byte("#!")) {
			mode = 0o755
		}
		if err := os.WriteFile(to, s.files[name], mode); err != nil {
			return fmt.Errorf("write the plugin: %w", err)
		}
	}
	fmt.Fprintf(out, "wrote %s; now:\n  cd %s\n", s.name, s.name)
	for _, step := range append(s.steps, "sallyport plugin test "+s.run+" cases.yaml") {
		fmt.Fprintln(out, " ", step)
	}
	return nil
}
