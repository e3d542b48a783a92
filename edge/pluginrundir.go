package edge

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/pluginhost/launch"
)

// runDirRoot is where run directories are whose proper place has too long a name,
// whatever TMPDIR says: that is often what is too long.
const runDirRoot = "/tmp"

// runDirPrefix is what the names of this user's begin with there.
func runDirPrefix() string { return fmt.Sprintf("sallyport-%d-", os.Getuid()) }

// RunDirPattern is what os.MkdirTemp makes a run directory by, in root, for who tries
// plugins out. If it is left behind, the next edge of this user removes it.
func RunDirPattern() (root, pattern string) { return runDirRoot, runDirPrefix() }

// runDir is where plugins have their sockets: beside the admin socket, whose
// directory is the edge's own, or, where its name is too long for sockets in it, in
// runDirRoot.
func runDir(cfg *config.Config) string {
	const longest = 56
	dir := filepath.Join(filepath.Dir(cfg.ResolvePath(cfg.Admin.Socket)), "plugins")
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	if len(dir) <= longest {
		return dir
	}
	sum := sha256.Sum256([]byte(dir))
	return filepath.Join(runDirRoot, fmt.Sprintf("%s%x", runDirPrefix(), sum[:4]))
}

// staleRunDirs are all run directories of this user, the ones in use among them.
func staleRunDirs() []string {
	dirs, _ := filepath.Glob(filepath.Join(runDirRoot, runDirPrefix()+"*")) // fails for a bad pattern only
	return dirs
}

// removeRunDirs removes those that nobody uses.
func (s *Server) removeRunDirs(dirs []string) {
	for _, dir := range dirs {
		if err := launch.RemoveRunDir(dir); err != nil {
			s.log.Warn("run directory of plugins not removed", "cause", err)
		}
	}
}
