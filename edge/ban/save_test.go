package ban

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
)

// fillDisk has saves of all bans fail until room is called. What is appended is not
// affected.
func (f *fixture) fillDisk() (room func()) {
	f.t.Helper()
	// The name of the new file is taken by what cannot be written to.
	if err := os.Mkdir(f.path+".tmp", 0o700); err != nil {
		f.t.Fatal(err)
	}
	return func() {
		f.t.Helper()
		if err := os.Remove(f.path + ".tmp"); err != nil {
			f.t.Fatal(err)
		}
	}
}

// diskWasFull is a fixture whose disk took a piece of a line and then no more, so
// that neither the append nor the save of 192.0.2.10 was possible. It has room
// again.
func diskWasFull(t *testing.T) *fixture {
	t.Helper()
	f := changedByHand(t)
	room := f.fillDisk()
	file := f.recent.f
	if _, err := file.WriteString("6 0123"); err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.recent.f = full
	if _, err := f.Ban(netip.MustParsePrefix("192.0.2.10/32"), 0, "", ByAdmin); !errors.Is(err, ErrUnsaved) {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(f.log.String(), "change by hand not appended") {
		t.Fatalf("log: %s", &f.log)
	}
	room()
	if f.recent.f == full { // whoever goes on with the file finds room, too
		f.recent.f = file
	}
	return f
}

// TestAppendAndSaveFail: nothing is written behind the piece of a line, and the
// change that it was of is saved with the next.
func TestAppendAndSaveFail(t *testing.T) {
	f := diskWasFull(t)
	f.byHand("192.0.2.11/32", 0)
	if f.unsaved() {
		t.Error("an answered change is not saved")
	}
	want := collect(f.Keeper)
	f.open()
	sameBans(t, collect(f.Keeper), want)
	f.want("192.0.2.10", true)
	f.want("192.0.2.11", true)
}

// TestAppendAndSaveFailThenCrash: what was answered before is there.
func TestAppendAndSaveFailThenCrash(t *testing.T) {
	f := diskWasFull(t)
	f.open()
	f.want("192.0.2.7", true)
	f.want("198.51.100.1", true)
	f.want("192.0.2.10", false)
}

// TestSaveFailsBeforeAppend: a save that fails has taken with it the change that
// somebody waits to have appended. That one is not answered for before it is saved.
func TestSaveFailsBeforeAppend(t *testing.T) {
	f := changedByHand(t)
	room := f.fillDisk()
	if _, err := f.ban(netip.MustParsePrefix("192.0.2.10/32"), 0, "", ByAdmin); err != nil {
		t.Fatal(err)
	}
	if _, err := f.save(); err == nil {
		t.Fatal("saved to a full disk")
	}
	if err := f.saveNow(); err == nil {
		t.Error("a change is answered for that is nowhere")
	}
	room()
	if err := f.saveNow(); err != nil {
		t.Error(err)
	}
	f.open()
	f.want("192.0.2.10", true)
	f.want("198.51.100.1", true)
}
