package ban

import (
	"container/heap"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sallyport/sallyport/edge/config"
)

// usualLine is a line of the file as policy makes it, in bytes.
const usualLine = 72

// load fills the table from the files. That there is none is no error.
func (k *Keeper) load() error {
	f, err := os.Open(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return k.loadWithout()
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
	last, err := lastLine(f)
	if err != nil {
		return fmt.Errorf("read bans: %s: %w", k.path, err)
	}
	k.recent.follow(last)
	replayed, err := k.replay(last, now)
	if err != nil {
		return fmt.Errorf("read bans: %s: %w", k.recent.path, err)
	}
	heap.Init(&k.ends)
	k.changes = 0
	if replayed > 0 {
		k.changes = 1
		k.recent.follow("") // or they would be lost with the file that they are in
	}
	k.say(slog.LevelInfo, now, "bans restored", "in_force", k.tally.inForce(), "remembered", k.tally.lapsed, "changes_by_hand", replayed)
	return nil
}

// loadWithout is load where there is no file of bans. Changes to one are never there
// without it: it was lost, or moved away, and with it bans by hand that it had and
// that only these changes show to have been.
func (k *Keeper) loadWithout() error {
	data, err := os.ReadFile(k.recent.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read bans: %w", err)
	}
	found, err := decodeRecent(data, "", nil)
	if err == nil {
		err = fmt.Errorf("%d changes by hand are to the bans of %s, which is missing", found.changes, k.path)
	}
	return fmt.Errorf("read bans: %s: %w", k.recent.path, err)
}

// lastLine returns the last line of a file of bans, with its end.
func lastLine(f *os.File) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	const most = 64
	end := make([]byte, min(info.Size(), most))
	if _, err := f.ReadAt(end, info.Size()-int64(len(end))); err != nil {
		return "", err
	}
	text := string(end)
	return text[strings.LastIndexByte(text[:max(0, len(text)-1)], '\n')+1:], nil
}

// replay makes the changes by hand since the file of bans was written, and
// returns how many there were.
func (k *Keeper) replay(last string, now instant) (int, error) {
	data, err := os.ReadFile(k.recent.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	found, err := decodeRecent(data, last, func(r *record, lift netip.Prefix) error {
		if r == nil {
			for _, e := range k.inside(keyOf(lift)) {
				k.remove(e)
			}
			return nil
		}
		if old := k.table.find(keyOf(r.prefix)); old != nil {
			k.remove(old)
		}
		return k.restore(r, now)
	})
	switch {
	case err != nil:
		return 0, err
	case found.other:
		k.say(slog.LevelWarn, now, "changes by hand to earlier bans are left out; the bans have them already, unless one of the two files is from a backup", "file", k.recent.path, "changes", found.changes)
		return 0, nil
	case found.torn:
		k.say(slog.LevelWarn, now, "a change by hand was not saved whole, as when the edge was killed before it answered; it is left out", "file", k.recent.path)
	}
	return found.changes, nil
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

// saveNow returns when all changes by hand made before it is called are on disk:
// appended to the file of recent ones, or with all bans where that cannot be.
// Whoever waits for the save of another shares the next one with the others that
// wait.
func (k *Keeper) saveNow() error {
	k.mu.Lock()
	want := k.handChanges
	k.mu.Unlock()
	k.saving.Lock()
	defer k.saving.Unlock()
	k.mu.Lock()
	// Once the file is another process's, that is told of the change instead. If it
	// fails, Stay has all bans written anew.
	done := k.path == "" || k.savedByHand >= want || k.left
	list, upTo := k.unsavedByHand, k.handChanges
	if !done {
		k.unsavedByHand = nil
	}
	k.mu.Unlock()
	if done {
		return nil
	}
	if k.recent.room(len(list)) {
		now := k.clock.instant()
		err := k.recent.append(list, now)
		if err == nil {
			k.mu.Lock()
			k.savedByHand = upTo
			k.mu.Unlock()
			k.counters.saved.Store(&now.t)
			return nil
		}
		k.log.Warn("change by hand not appended; all bans are saved instead", "cause", err)
	}
	_, err := k.write()
	return err
}

// save writes the file anew, and returns how many bans are in it. Nobody is
// stopped meanwhile: what changes during a save is in the next one.
func (k *Keeper) save() (int, error) {
	k.saving.Lock()
	defer k.saving.Unlock()
	k.mu.Lock()
	left := k.left
	k.mu.Unlock()
	if left {
		return 0, nil // the file is another process's by now
	}
	return k.write()
}

// write is save for who holds saving.
func (k *Keeper) write() (int, error) {
	k.mu.Lock()
	changes, byHand := k.changes, k.handChanges
	k.unsavedByHand = nil
	k.mu.Unlock()
	now := k.clock.instant()
	lines, last := 0, ""
	err := replaceFile(k.path, func(f *os.File) error {
		out := newEncoder(f)
		for e := range k.table.all() {
			r := e.record(now)
			out.record(&r)
		}
		lines, last = out.lines, out.lastLine()
		return out.end()
	})
	if err != nil {
		k.recent.follow("") // changes that were to be saved are in the table only
		k.counters.saveErrors.Add(1)
		return 0, fmt.Errorf("save bans: %w", err)
	}
	k.recent.follow(last)
	_ = os.Remove(k.recent.path) // it means nothing now; a start says so if it is left
	k.counters.saved.Store(&now.t)
	k.mu.Lock()
	k.savedChanges, k.savedByHand = changes, byHand
	k.mu.Unlock()
	return lines, nil
}

// record is what a file has of an entry.
func (e *entry) record(now instant) record {
	r := record{e.key.prefix(), now.time(e.since).UnixMilli(), 0, e.code, e.repeat, e.score, e.flags &^ lapsed, e.by, e.why}
	if e.until != 0 {
		r.until = now.time(e.until).UnixMilli()
	}
	return r
}

// unsaved tells whether the file is not what the table is.
func (k *Keeper) unsaved() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.path != "" && k.changes != k.savedChanges && !k.left
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
