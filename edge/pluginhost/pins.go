package pluginhost

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
)

// interpreters run what an argument names. To pin one says nothing about that. Of a
// name there may be versions and builds: python3.11, php8.2, perl5.36-x86_64-linux-gnu.
var interpreters = regexp.MustCompile(`^(python|pypy|node|nodejs|deno|bun|ruby|perl|php|lua|luajit|tclsh|java|dotnet|mono|wasmtime|wasmer|guile|Rscript|R|julia|octave|racket|swipl|sbcl|` +
	`erl|escript|elixir|raku|scala|groovy|[gmno]?awk|expect|env|busybox|make|ld-linux(?:-[a-z0-9_-]+)?\.so|sh|bash|dash|ash|zsh|ksh|fish)` +
	`([0-9.]*[0-9][dmtu]*)?(-dbg|-c|-intel64|-[a-z0-9_]+-linux-[a-z]+|\.static)?$`)

// harmless are options that load and evaluate nothing, by the interpreter. All others
// are refused beside a pin: there are too many by which one loads something, and each
// version may have more.
var harmless = func() map[string]*regexp.Regexp {
	python := regexp.MustCompile(`^(-[bBdEIOPqRsSuv]+|-X(dev|utf8(=[01])?))$`)
	node := regexp.MustCompile(`^--((max-old-space-size|max-semi-space-size|stack-size|stack-trace-limit|v8-pool-size|max-http-header-size)=[0-9]+|` +
		`unhandled-rejections=[a-z-]+|disable-proto=[a-z]+|(no|trace|throw|pending)-(warnings|deprecation)|enable-source-maps|frozen-intrinsics|jitless|no-addons|expose-gc|abort-on-uncaught-exception)$`)
	shell := regexp.MustCompile(`^([-+][aCefhpuvx]+|--(norc|noprofile|posix))$`)
	lua := regexp.MustCompile(`^-[EW]$`)
	return map[string]*regexp.Regexp{
		"python": python, "pypy": python, "node": node, "nodejs": node, "lua": lua,
		"sh": shell, "bash": shell, "dash": shell, "ash": shell,
		"perl": regexp.MustCompile(`^-[tTwW]+$`),
		"ruby": regexp.MustCompile(`^(-w|--(disable-gems|jit|yjit))$`),
		"php":  regexp.MustCompile(`^-[nq]+$`),
		"java": regexp.MustCompile(`^-(X(ms|mx|ss)[0-9]+[kKmMgG]?|jar|server)$`),
		"deno": regexp.MustCompile(`^(-A|-q|--((allow|deny)-[a-z]+(=.*)?|no-(prompt|remote|config|lock)|cached-only|quiet))$`),
	}
}()

// loading are variables by which an interpreter, or the loader of any program, runs
// more than its arguments say.
var loading = regexp.MustCompile(`^(LD_PRELOAD|LD_AUDIT|NODE_OPTIONS|BASH_ENV|PERL5OPT|PERL5DB|RUBYOPT|PHPRC|PHP_INI_SCAN_DIR|JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|_JAVA_OPTIONS|LUA_INIT.*)$`)

// unpinned refuses a pin that pins nothing: of an interpreter, and not of what it is
// to run, or beside an option or a variable that has it run something else.
func unpinned(cfg *config.Plugin, resolve func(string) string) error {
	if cfg.SHA256 == (config.Fingerprint{}) && len(cfg.Pinned) == 0 {
		return nil
	}
	interpreter := interpreterOf(cfg, resolve)
	if interpreter == "" {
		return nil
	}
	if err := unpinnedScript(cfg, interpreter, resolve); err != nil {
		return err
	}
	for _, arg := range cfg.Command[1:] {
		if _, pinned := cfg.Pinned[arg]; pinned {
			continue
		}
		if info, err := os.Stat(pathOf(cfg, arg, resolve)); err == nil && info.Mode().IsRegular() {
			return notPinned(cfg, arg)
		}
	}
	for name := range cfg.Env {
		if loading.MatchString(name) {
			return fmt.Errorf("environment variable %q: may have %s load what is not pinned; want it left out", name, cfg.Command[0])
		}
	}
	return nil
}

// unpinnedScript refuses a command whose script, which is the first word that is no
// option, is not pinned.
func unpinnedScript(cfg *config.Plugin, interpreter string, resolve func(string) string) error {
	args := cfg.Command[1:]
	if (interpreter == "deno" || interpreter == "bun") && len(args) > 0 && args[0] == "run" {
		args = args[1:]
	}
	for i, arg := range args {
		if _, pinned := cfg.Pinned[arg]; pinned {
			if info, err := os.Stat(pathOf(cfg, arg, resolve)); err == nil && !info.Mode().IsRegular() {
				return notRegular(arg)
			}
			return nil
		}
		switch options := harmless[interpreter]; {
		case arg == "--" && i+1 < len(args) && strings.HasPrefix(args[i+1], "-"):
			return notPinned(cfg, args[i+1])
		case arg == "--" || options != nil && options.MatchString(arg):
		case strings.HasPrefix(arg, "-"):
			return fmt.Errorf("argument %q: may have %s load or run what cannot be pinned; want the pinned script, and before it no option but those that load nothing", arg, cfg.Command[0])
		default:
			if info, err := os.Stat(pathOf(cfg, arg, resolve)); err == nil && !info.Mode().IsRegular() {
				return notRegular(arg)
			}
			return notPinned(cfg, arg)
		}
	}
	return fmt.Errorf("%q: is an interpreter, and no argument is a pinned script; want one, with its SHA-256 in pinned", cfg.Command[0])
}

func notPinned(cfg *config.Plugin, arg string) error {
	return fmt.Errorf("argument %q: is not pinned, and what %s runs; want its SHA-256 in pinned", arg, cfg.Command[0])
}

func notRegular(arg string) error {
	return fmt.Errorf("argument %q: is not a regular file, and so cannot be pinned; want the script itself", arg)
}

// interpreterOf is the name, without its version, of the interpreter that a command
// starts: by its own name or by that of a link that leads to it. Empty is none.
func interpreterOf(cfg *config.Plugin, resolve func(string) string) string {
	for _, path := range append(candidates(cfg, resolve), cfg.Command[0]) {
		for range 40 { // as many links as the kernel follows
			if m := interpreters.FindStringSubmatch(filepath.Base(path)); m != nil {
				return m[1]
			}
			target, err := os.Readlink(path)
			if err != nil {
				break
			}
			if !filepath.IsAbs(target) {
				// Not cleaned: what is above a directory that is a link is not beside it.
				target = filepath.Dir(path) + "/" + target
			}
			path = target
		}
	}
	return ""
}

// pathOf is the file that an argument names to the program.
func pathOf(cfg *config.Plugin, arg string, resolve func(string) string) string {
	switch {
	case isFile(arg):
		return resolve(arg)
	case filepath.IsAbs(arg):
		return arg
	case cfg.Dir != "":
		return filepath.Join(resolve(cfg.Dir), arg)
	}
	return filepath.Join("/", arg)
}
