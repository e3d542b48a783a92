package logfile

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Naming is what is in the names of pieces, which are ALB's:
//
//	AWSLogs/ACCOUNT/elasticloadbalancing/REGION/yyyy/mm/dd/
//	KINDACCOUNT_elasticloadbalancing_REGION_app.NAME.ID_yyyymmddThhmmZ_ADDRESS_RANDOM.log.gz
//
// with the end of the interval. Whoever else writes below AWSLogs under other
// names is left alone.
type Naming struct {
	// Kind is "" for an access log, conn_log_ for a connection log and
	// health_check_log_ for a health-check log.
	Kind string
	// Account, Region, Name and ID are the load balancer's: letters, digits and
	// hyphens.
	Account, Region, Name, ID string
	// Address is one of the host's.
	Address netip.Addr
}

var (
	namePart  = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	kindPart  = regexp.MustCompile(`^([a-z_]+_)?$`)
	pieceRest = regexp.MustCompile(`^_([0-9]{8}T[0-9]{4}Z)_[^_/]+_[a-z0-9]{8}\.log(\.gz|\.gz\.part)?$`)
)

const endLayout = "20060102T1504Z"

func (n Naming) check() error {
	for _, part := range []string{n.Account, n.Region, n.Name, n.ID} {
		if !namePart.MatchString(part) {
			return fmt.Errorf("rotate: %q in the names of pieces: want letters, digits and hyphens", part)
		}
	}
	if !kindPart.MatchString(n.Kind) {
		return fmt.Errorf("rotate: %q as the kind of log: want lower-case letters and _, which is its last", n.Kind)
	}
	return nil
}

// root is the folder of all pieces' days, as a slash-separated path below the
// file's.
func (n Naming) root() string {
	return path.Join("AWSLogs", n.Account, "elasticloadbalancing", n.Region)
}

// prefix is what all pieces' names begin with.
func (n Naming) prefix() string {
	return n.Kind + n.Account + "_elasticloadbalancing_" + n.Region + "_app." + n.Name + "." + n.ID
}

// path returns a name for a piece of the file in dir that nothing has.
func (n Naming) path(dir string, end time.Time) string {
	const digits = "0123456789abcdefghijklmnopqrstuvwxyz"
	end = end.UTC()
	address := "0.0.0.0"
	if n.Address.IsValid() {
		address = n.Address.Unmap().WithZone("").String()
	}
	day := filepath.Join(dir, filepath.FromSlash(n.root()), end.Format("2006"), end.Format("01"), end.Format("02"))
	for {
		var random [8]byte
		for i := range random {
			random[i] = digits[rand.IntN(len(digits))]
		}
		name := filepath.Join(day, n.prefix()+"_"+end.Format(endLayout)+"_"+address+"_"+string(random[:])+".log")
		if !exists(name) && !exists(name+".gz") {
			return name
		}
	}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// piece is one that was found.
type piece struct {
	path    string // slash-separated, below the file's folder
	end     time.Time
	state   pieceState
	size    int64
	changed time.Time // when it was last written or renamed
}

type pieceState uint8

const (
	plain      pieceState = iota
	compressed            // .gz: whole
	partial               // .gz.part: what a compression has left behind
)

// find returns the pieces in the folder of a file, the oldest first.
func (n Naming) find(folder fs.FS) ([]piece, error) {
	names, err := fs.Glob(folder, n.root()+"/[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]/"+n.prefix()+"_*")
	if err != nil {
		return nil, err
	}
	var found []piece
	for _, name := range names {
		match := pieceRest.FindStringSubmatch(strings.TrimPrefix(path.Base(name), n.prefix()))
		if match == nil {
			continue
		}
		end, err := time.Parse(endLayout, match[1])
		if err != nil {
			continue
		}
		info, err := fs.Stat(folder, name)
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		p := piece{path: name, end: end, size: info.Size(), changed: changed(info)}
		switch match[2] {
		case ".gz":
			p.state = compressed
		case ".gz.part":
			p.state = partial
		}
		found = append(found, p)
	}
	slices.SortStableFunc(found, func(a, b piece) int { return a.end.Compare(b.end) })
	return found, nil
}

// changed is when a file was last written or renamed.
func changed(info fs.FileInfo) time.Time {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(stat.Ctim.Unix())
	}
	return info.ModTime()
}
