package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sallyport/sallyport/bpf"
	"github.com/sallyport/sallyport/edge"
	"github.com/sallyport/sallyport/edge/config"
	"github.com/sallyport/sallyport/edge/privilege"
)

// dropRights gives up what the edge does not need. Where there is anything to give
// up, the program begins anew with less, and dropRights returns on an error only.
// Root without a configured user is left as it is: it owns what an edge is to be
// kept from in any case.
func dropRights(cfg *config.Config, log *slog.Logger) error {
	again := privilege.Became()
	held, err := privilege.Held()
	if err != nil {
		return err
	}
	keep := held & edge.Needs(cfg)
	var account *privilege.Account
	if os.Geteuid() == 0 {
		if cfg.User == "" {
			log.Warn("runs as root; want user in the configuration", "needs", edge.Needs(cfg).String())
			return nil
		}
		a, err := privilege.Lookup(cfg.User)
		if err != nil {
			return nil // reported with the other problems of the configuration
		}
		if a.UID == 0 {
			return nil
		}
		if err := prepareFor(&a, cfg); err != nil {
			return fmt.Errorf("prepare for user %s: %w", a.Name, err)
		}
		account = &a
	}
	if account == nil && (held == keep || again) {
		return nil
	}
	log.Info("gives up rights", "user", cfg.User, "keeps", keep.String())
	return privilege.Become(account, keep)
}

// prepareFor makes what only root can make: the directories that are the edge's
// own, where they are missing, and in the BPF file system a way to its pins.
func prepareFor(a *privilege.Account, cfg *config.Config) error {
	dirs := []string{cfg.ResolvePath(cfg.StateDir), filepath.Dir(cfg.ResolvePath(cfg.Admin.Socket))}
	if edge.Needs(cfg)&privilege.BPF != 0 {
		var fs unix.Statfs_t
		root := filepath.Dir(bpf.DefaultPin)
		if unix.Statfs(root, &fs) == nil && fs.Type == unix.BPF_FS_MAGIC {
			info, err := os.Stat(root)
			if err != nil {
				return err
			}
			// To go through, not to look around: what others have there is theirs.
			if err := os.Chmod(root, info.Mode()|0o011); err != nil {
				return err
			}
			dirs = append(dirs, bpf.DefaultPin)
		}
	}
	for _, dir := range dirs {
		if err := makeFor(a, dir); err != nil {
			return err
		}
	}
	return nil
}

func makeFor(a *privilege.Account, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	switch err := os.Mkdir(dir, 0o700); {
	case errors.Is(err, os.ErrExist):
		// Whoever has something in it may have a reason; the edge says what it lacks.
		if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
			return err
		}
		if info, err := os.Stat(dir); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
			return err
		}
	case err != nil:
		return err
	}
	return os.Chown(dir, a.UID, a.GID)
}
