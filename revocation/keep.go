package revocation

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Keep remembers lists that were read into d under a name that stands for what
// they were read from, the digest of an upload say, for [Dir.Kept]. Lists in
// memory cannot be kept, nor those signed with Ed25519: these are an error.
func (d *Dir) Keep(name string, lists []*List) error {
	if len(lists) == 0 {
		return fmt.Errorf("keep CRLs of %q: there are none", name)
	}
	for _, l := range lists {
		if l.file != d.file(segmentName(l.digest)) {
			return fmt.Errorf("keep CRLs of %q: CRL %x is not in %s", name, l.digest, d.path)
		}
		if !l.keepable() {
			return fmt.Errorf("keep CRLs of %q: CRL %x is signed with %s, which cannot be verified without all of it",
				name, l.digest, l.algorithm.x509)
		}
	}
	if err := d.write(&source{Of: nameSource(name)}, lists); err != nil {
		return fmt.Errorf("keep CRLs of %q: %w", name, err)
	}
	return nil
}

// Kept opens the lists that are kept under a name, in milliseconds. Where there
// are none, or where any of them is missing or damaged, it is an error, and what
// the name stands for has to be read. [Dir.Recheck] tells what is taken on trust.
func (d *Dir) Kept(name string) ([]*List, error) {
	s, err := d.source(nameSource(name))
	if err != nil {
		return nil, fmt.Errorf("open kept CRLs of %q: %w", name, err)
	}
	lists, err := d.openLists(s)
	if err != nil {
		return nil, fmt.Errorf("open kept CRLs of %q: %w", name, err)
	}
	return lists, nil
}

// Forget removes the files of these lists, so that whatever they were read from
// is read again. Lists that are in use stay so.
func (d *Dir) Forget(lists []*List) error {
	var errs []error
	for _, l := range lists {
		if err := os.Remove(d.file(segmentName(l.digest))); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Recheck does what was left out when lists were opened from d rather than read
// from the file at path: it digests that file and compares, and reads all that is
// kept of the lists and compares it with its checksums. After an error, which
// says what differs, ReadFile will read the file. That a list's entries are those
// of its DER is taken from the time when they were written. Callers run Recheck
// in the background after a start; the lists may be asked meanwhile.
func (d *Dir) Recheck(ctx context.Context, path string, lists []*List) error {
	err := checkFile(ctx, path, lists)
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, d.Forget(lists))
	}
	for _, l := range lists {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = l.Verify()
		}
	}
	if err != nil {
		return fmt.Errorf("recheck CRL: %w", err)
	}
	return nil
}
