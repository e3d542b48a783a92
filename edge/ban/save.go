package ban

import (
	"container/heap"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// usualLine is a line of the file as policy makes it, in bytes.
const usualLine = 72

// load fills the table from the file. That there is none is no error.
func (k *Keeper) load() error {
	f, err := os.Open(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read bans: %w", err)
	}
	defer f.Close()
	k.mu.Lock()
	defer k.unlock()
	now := k.clock.instant()
	if info, err := f.Stat(); err == nil {
		k.table.reserve(int(info.Size() / usualLine))
	}
	if err := decode(f, func(r *record) error { return k.restore(r, now) }); err != nil {
		return fmt.Errorf("read bans: %s: %w", k.path, err)
	}
	heap.Init(&k.ends)
	k.changes = 0
	k.say(slog.LevelInfo, now, "bans restored", "in_force", k.tally.inForce(), "remembered", k.tally.lapsed)
	return nil
}

// restore puts one ban of the file into the table, unless it has no meaning any
// more.
func (k *Keeper) restore(r *record, now instant) error {
	n := keyOf(r.prefix)
	if k.table.find(n) != nil {
		return fmt.Errorf("%v is in the file already", r.prefix)
	}
	s := k.settings.Load()
	e := &entry{
		key:   n,
		since: now.of(time.UnixMilli(r.since)),
		code:  r.code, repeat: r.repeat, score: r.score, flags: r.flags, by: r.by, why: r.why,
	}
	if r.until != 0 {
		e.until = now.of(time.UnixMilli(r.until))
	}
	if ahead := e.since - now.ns; ahead > 0 {
		// The wall clock was set back, or is not set yet. No ban gets longer by it.
		e.since = now.ns
		e.until = max(0, e.until-ahead)
	}
	_, exempt := s.exempts(r.prefix)
	over := !e.inForce(now.ns)
	switch {
	case exempt, e.is(dryRun) && s.mode == config.BanEnforce:
		return nil
	case over && (e.byHand() || e.until+s.remember <= now.ns):
		return nil
	}
	k.putNew(e)
	if e.until != 0 {
		k.ends = append(k.ends, end{e.until, e}) // in order once all are there
	}
	if over {
		k.lapse(e)
	}
	return nil
}

// saveNow returns when all changes made before it is called are on disk. Whoever
// waits for the save of another shares the next one with the others that wait.
func (k *Keeper) saveNow() error {
	k.mu.Lock()
	want := k.changes
	k.mu.Unlock()
	k.saving.Lock()
	defer k.saving.Unlock()
	k.mu.Lock()
	done := k.path == "" || k.savedChanges >= want
	k.mu.Unlock()
	if done {
		return nil
	}
	_, err := k.write()
	return err
}

// save writes the file anew, and returns how many bans are in it. Nobody is
// stopped meanwhile: what changes during a save is in the next one.
func (k *Keeper) save() (int, error) {
	k.saving.Lock()
	defer k.saving.Unlock()
	return k.write()
}

// write is save for who holds saving.
func (k *Keeper) write() (int, error) {
	k.mu.Lock()
	changes := k.changes
	k.mu.Unlock()
	now := k.clock.instant()
	lines := 0
	err := replaceFile(k.path, func(f *os.File) error {
		out := newEncoder(f)
		for e := range k.table.all() {
			r := record{e.key.prefix(), now.time(e.since).UnixMilli(), 0, e.code, e.repeat, e.score, e.flags &^ lapsed, e.by, e.why}
			if e.until != 0 {
				r.until = now.time(e.until).UnixMilli()
			}
			out.record(&r)
		}
		lines = out.lines
		return out.end()
	})
	if err != nil {
		k.counters.saveErrors.Add(1)
		return 0, fmt.Errorf("save bans: %w", err)
	}
	k.counters.saved.Store(&now.t)
	k.mu.Lock()
	k.savedChanges = changes
	k.mu.Unlock()
	return lines, nil
}

// unsaved tells whether the file is not what the table is.
func (k *Keeper) unsaved() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.path != "" && k.changes != k.savedChanges
}

// replaceFile puts a whole new file of mode 0600 in path's place, so that after a
// crash at any moment there is the old one or the new one. What a crash leaves
// behind is used by the next call.
func replaceFile(path string, write func(*os.File) error) error {
	fresh := path + ".tmp"
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Chmod(0o600)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
