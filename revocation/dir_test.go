package revocation

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io/fs"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// kept is a Dir and a file beside it.
type kept struct {
	*Dir
	t    testing.TB
	file string
}

func newKept(t testing.TB) *kept {
	t.Helper()
	root := t.TempDir()
	d, err := OpenDir(filepath.Join(root, "kept"))
	if err != nil {
		t.Fatal(err)
	}
	return &kept{d, t, filepath.Join(root, "list.crl")}
}

// restart opens the Dir as a new process would.
func (k *kept) restart() {
	k.t.Helper()
	d, err := OpenDir(k.path)
	if err != nil {
		k.t.Fatal(err)
	}
	k.Dir = d
}

func (k *kept) put(data []byte) {
	k.t.Helper()
	if err := os.WriteFile(k.file, data, 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// read reads the file and says whether that took reading it.
func (k *kept) read() (lists []*List, anew bool) {
	k.t.Helper()
	lists, err := ReadFile(k.t.Context(), k.file, Options{Dir: k.Dir, Progress: func(Progress) { anew = true }})
	if err != nil {
		k.t.Fatal(err)
	}
	return lists, anew
}

// pretend changes what is known of the file.
func (k *kept) pretend(change func(*source)) {
	k.t.Helper()
	of, err := fileSource(k.file)
	if err != nil {
		k.t.Fatal(err)
	}
	s, err := k.source(of)
	if err != nil {
		k.t.Fatal(err)
	}
	lists, err := k.openLists(s)
	if err != nil {
		k.t.Fatal(err)
	}
	s.Lists = nil
	change(s)
	if err := k.write(s, lists); err != nil {
		k.t.Fatal(err)
	}
}

// settle makes believe that the file was read long after it was changed.
func (k *kept) settle() {
	k.t.Helper()
	k.pretend(func(s *source) { s.Read = s.File.Changed + int64(clockGrain) + 1 })
}

// unchange makes believe that the file has the times it had when it was read.
func (k *kept) unchange() {
	k.t.Helper()
	f, id, err := openRegular(k.file)
	if err != nil {
		k.t.Fatal(err)
	}
	_ = f.Close()
	k.pretend(func(s *source) { s.File = id })
}

// names are those of the files in the directory with a suffix.
func (k *kept) names(suffix string) []string {
	k.t.Helper()
	entries, err := os.ReadDir(k.path)
	if err != nil {
		k.t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, e.Name())
		}
	}
	return names
}

func TestReadFileKeeps(t *testing.T) {
	ca := newCA(t, "Kept CA")
	one, serial := bigList(t, ca, 3000)
	other, _ := bigList(t, ca, 3001)
	for name, data := range map[string][]byte{"DER": one, "PEM": cat(pemOf(other), pemOf(one))} {
		t.Run(name, func(t *testing.T) {
			k := newKept(t)
			k.put(data)
			first, anew := k.read()
			if !anew || first[0].DiskBytes() == 0 || first[0].Damaged() != nil {
				t.Errorf("read anew %v, %d bytes on disk", anew, first[0].DiskBytes())
			}
			for _, settled := range []bool{false, true} {
				if settled {
					k.settle()
				}
				k.restart()
				again, anew := k.read()
				if anew {
					t.Errorf("settled %v: read anew", settled)
				}
				sameLists(t, again, first)
				wantStatus(t, Revoked, Prepare(ca.issue(t, serial), ca.cert), again...)
				wantStatus(t, Good, ca.link(t, 9), again...)
				if err := k.Recheck(t.Context(), k.file, again); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestReadFileNoticesChanges changes the file in each way that can be told.
func TestReadFileNoticesChanges(t *testing.T) {
	ca := newCA(t, "Changing CA")
	before, _ := bigList(t, ca, 3000)
	after := bytes.Clone(before) // a list just as long
	after[len(after)-1] ^= 1
	for name, change := range map[string]func(k *kept){
		"in place, time set back": func(k *kept) {
			info, err := os.Stat(k.file)
			if err != nil {
				t.Fatal(err)
			}
			k.put(after)
			if err := os.Chtimes(k.file, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		},
		"replaced": func(k *kept) {
			if err := os.WriteFile(k.file+".new", after, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(k.file+".new", k.file); err != nil {
				t.Fatal(err)
			}
		},
		"another size": func(k *kept) { k.put(pemOf(after)) },
		"within the grain of the clock": func(k *kept) {
			k.pretend(func(s *source) { s.Read = s.File.Changed + int64(clockGrain) })
			k.put(after)
			k.unchange()
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKept(t)
			k.put(before)
			first, _ := k.read()
			k.settle()
			change(k)
			k.restart()
			second, anew := k.read()
			if !anew || second[0].Digest() == first[0].Digest() {
				t.Errorf("read anew %v, the same list %v", anew, second[0].Digest() == first[0].Digest())
			}
			if _, anew := k.read(); anew {
				t.Error("not kept")
			}
		})
	}
}

// TestSameContentIsNotRead has the file change in all but its content.
func TestSameContentIsNotRead(t *testing.T) {
	ca := newCA(t, "Same CA")
	data, _ := bigList(t, ca, 3000)
	k := newKept(t)
	k.put(data)
	k.read()
	k.settle()
	if err := os.Remove(k.file); err != nil {
		t.Fatal(err)
	}
	k.put(data)
	k.restart()
	if _, anew := k.read(); anew {
		t.Error("read anew")
	}
}

// TestRecheckFindsOut changes a file without a trace.
func TestRecheckFindsOut(t *testing.T) {
	ca := newCA(t, "Recheck CA")
	before, _ := bigList(t, ca, 3000)
	after := bytes.Clone(before)
	after[len(after)-1] ^= 1
	k := newKept(t)
	k.put(before)
	k.read()
	k.put(after)
	k.unchange()
	k.settle()
	k.restart()
	lists, anew := k.read()
	if anew {
		t.Fatal("read anew: there is nothing to find out")
	}
	err := k.Recheck(t.Context(), k.file, lists)
	if err == nil || !strings.Contains(err.Error(), "has 1 CRLs with digests") {
		t.Errorf("error %v", err)
	}
	lists, anew = k.read()
	if !anew {
		t.Error("not read anew")
	}
	if err := k.Recheck(t.Context(), k.file, lists); err != nil {
		t.Error(err)
	}
	if err := k.Recheck(t.Context(), k.file+".gone", lists); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestSmallFilesAreNotKept(t *testing.T) {
	ca := newCA(t, "Small CA")
	k := newKept(t)
	k.put(ca.base().der(t, ca))
	for range 2 {
		lists, anew := k.read()
		if !anew || lists[0].DiskBytes() != 0 || lists[0].MemoryBytes() == 0 {
			t.Errorf("read anew %v, %d bytes on disk", anew, lists[0].DiskBytes())
		}
		if err := lists[0].Verify(); err != nil {
			t.Error(err)
		}
	}
	if names := k.names(""); len(names) != 0 {
		t.Errorf("files %q", names)
	}
}

// TestBoundsOfWhatIsKept lowers the bounds after the file was read.
func TestBoundsOfWhatIsKept(t *testing.T) {
	ca := newCA(t, "Lowered CA")
	data, _ := bigList(t, ca, 3000)
	k := newKept(t)
	k.put(data)
	k.read()
	for want, o := range map[string]Options{
		"entry 3000: want at most 2999 entries": {Dir: k.Dir, MaxEntries: 2999},
		"want at most 65537":                    {Dir: k.Dir, MaxSize: 65537},
		"MaxSize -1: want a number":             {Dir: k.Dir, MaxSize: -1},
	} {
		if _, err := ReadFile(t.Context(), k.file, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v: want it to contain %q", err, want)
		}
	}
}

func TestReadFileWantsARegularFile(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, dir, "/dev/null"} {
		if _, err := ReadFile(t.Context(), path, Options{}); err == nil || !strings.Contains(err.Error(), "want a regular file") {
			t.Errorf("%s: error %v", path, err)
		}
	}
	if _, err := ReadFile(t.Context(), filepath.Join(dir, "none"), Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// TestRestartAnswersTheSame compares what a restart has with a map.
func TestRestartAnswersTheSame(t *testing.T) {
	ca := newCA(t, "Restart CA")
	random := mathrand.New(mathrand.NewPCG(9, 9))
	model := map[string]Reason{}
	var entries [][]byte
	for len(entries) < 5000 {
		octets := make([]byte, 1+random.IntN(20))
		for i := range octets {
			octets[i] = byte(random.Uint32())
		}
		octets = integerOctets(new(big.Int).SetBytes(octets))
		if _, listed := model[string(octets)]; listed {
			continue
		}
		reason := Reason(1 + random.IntN(5))
		model[string(octets)] = reason
		entries = append(entries, revokeAt(tlv(tagInteger, octets), t0, reasonExt(reason)))
	}
	k := newKept(t)
	k.put(entriesOf(t, ca, entries...))
	link := *ca.link(t, 1)
	for run := range 3 {
		lists, anew := k.read()
		if anew != (run == 0) {
			t.Errorf("run %d: read anew %v", run, anew)
		}
		ix := NewIndex(lists)
		ask := func(serial []byte) {
			link.serial = serial
			v := ix.Check(&link, t0)
			reason, listed := model[string(serial)]
			if (v.Status == Revoked) != listed || (v.Status == Good) == listed || v.Reason != reason {
				t.Fatalf("run %d, serial %x: %s %s (%s): want listed %v, %s", run, serial, v.Status, v.Reason, v.Why, listed, reason)
			}
		}
		for octets := range model {
			ask([]byte(octets))
			near := []byte(octets)
			near[random.IntN(len(near))]++
			ask(near)
		}
		k.restart()
	}
}

// TestReadFileTwiceAtOnce has many goroutines read one file.
func TestReadFileTwiceAtOnce(t *testing.T) {
	ca := newCA(t, "Crowded CA")
	data, serial := bigList(t, ca, 3000)
	hit, miss := Prepare(ca.issue(t, serial), ca.cert), ca.link(t, 9)
	k := newKept(t)
	k.put(data)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 5 {
				lists, err := ReadFile(t.Context(), k.file, Options{Dir: k.Dir})
				if err != nil {
					t.Error(err)
					return
				}
				ix := NewIndex(lists)
				if a, b := ix.Check(hit, t0), ix.Check(miss, t0); a.Status != Revoked || b.Status != Good {
					t.Errorf("%s (%s), %s (%s)", a.Status, a.Why, b.Status, b.Why)
				}
				if err := k.Forget(lists); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if names := slices.Concat(k.names(".tmp")); len(names) > 0 {
		t.Errorf("left behind %q", names)
	}
}

// TestEd25519IsNotKept has the message stay on disk as long as the list lives.
func TestEd25519IsNotKept(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ca := newCAWithKey(t, "Edwards CA", key)
	p := ca.base()
	p.inner = seq(tlv(tagOID, []byte("\x2b\x65\x70")))
	p.outer = p.inner
	p.revoked = seq(bytes.Repeat(revoke(7), 5000))
	k := newKept(t)
	k.put(p.der(t, ca))
	for range 2 {
		lists, anew := k.read()
		if !anew || lists[0].DiskBytes() < 60_000 {
			t.Errorf("read anew %v, %d bytes on disk", anew, lists[0].DiskBytes())
		}
		wantStatus(t, Revoked, ca.link(t, 7), lists...)
		wantStatus(t, Good, ca.link(t, 8), lists...)
		if err := k.Keep("edwards", lists); err == nil || !strings.Contains(err.Error(), "Ed25519") {
			t.Errorf("error %v", err)
		}
		k.restart()
	}
	if names := k.names(sourceSuffix); len(names) > 0 {
		t.Errorf("files %q", names)
	}
}

// TestFailedReadLeavesNothing has a second list that is broken.
func TestFailedReadLeavesNothing(t *testing.T) {
	ca := newCA(t, "Half CA")
	good, _ := bigList(t, ca, 3000)
	k := newKept(t)
	k.put(cat(pemOf(good), pemOf(good[:len(good)-5])))
	for _, want := range []int{0, 1} {
		if _, err := ReadFile(t.Context(), k.file, Options{Dir: k.Dir}); err == nil || !strings.Contains(err.Error(), "PEM block 2") {
			t.Errorf("error %v", err)
		}
		if names := k.names(""); len(names) != want {
			t.Errorf("files %q: want %d", names, want)
		}
		// What was there before stays.
		if _, err := Read(t.Context(), bytes.NewReader(good), Options{Dir: k.Dir}); err != nil {
			t.Fatal(err)
		}
	}
}
