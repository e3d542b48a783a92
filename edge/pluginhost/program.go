package pluginhost

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/edge/config"
)

// systemFolders are where programs without a slash are looked for, unless the plugin
// has a PATH of its own. The edge's own counts for nothing: it differs between a shell
// and a service manager, and so would what is started.
const systemFolders = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// candidates are the files that a command's program may be, the first of them first.
func candidates(cfg *config.Plugin, resolve func(string) string) []string {
	name := cfg.Command[0]
	if strings.Contains(name, "/") {
		return []string{resolve(name)}
	}
	list, own := cfg.Env["PATH"]
	if !own {
		list = systemFolders
	}
	var paths []string
	for _, folder := range filepath.SplitList(list) {
		if filepath.IsAbs(folder) {
			paths = append(paths, filepath.Join(folder, name))
		}
	}
	return paths
}

// programOf finds the file that a command starts, as the launcher does.
func programOf(cfg *config.Plugin, resolve func(string) string) (string, error) {
	paths := candidates(cfg, resolve)
	var err error
	for _, path := range paths {
		if err = executable(path); err == nil {
			return path, nil
		}
	}
	if !strings.Contains(cfg.Command[0], "/") {
		list := systemFolders
		if own, ok := cfg.Env["PATH"]; ok {
			list = own
		}
		return "", fmt.Errorf("not found in the plugin's PATH, %s", list)
	}
	return "", err
}

func executable(path string) error {
	info, err := os.Stat(path)
	var cause *fs.PathError
	switch {
	case errors.As(err, &cause):
		return cause.Err
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case info.Mode().Perm()&0o111 == 0:
		return fs.ErrPermission
	}
	return nil
}
