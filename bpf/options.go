package bpf

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"
)

// Options are what a Filter is opened with. All but Interfaces and Pin have
// defaults. None can be changed later, but Open may be called again while a
// Filter of the same Pin is in force: it takes over without a gap.
type Options struct {
	// Interfaces are the names of the network interfaces to filter on, at
	// least one.
	Interfaces []string
	// Attach is how: in the driver, in the kernel's receive path, or in the
	// first of the two that the interface can. Where an earlier process has
	// attached already, Auto keeps its way, and asking for another is an error.
	Attach AttachMode
	// Pin is a directory of a BPF file system, see [DefaultPin]; it is made if
	// it is not there. "" pins nothing: then the filter ends with the process.
	Pin string

	// MaxBans is how many hosts can be banned at once, 1<<20 by default. An
	// entry costs about 120 bytes of kernel memory while it is there.
	MaxBans int
	// MaxPrefixes is how many networks can be, 1<<14 by default.
	MaxPrefixes int
	// IPv6Prefix is the length of the IPv6 prefix that counts as one host, 64
	// by default: whoever has one address of it has them all. 1 to 128.
	IPv6Prefix int

	// SYNLimit limits the SYNs of each host.
	SYNLimit SYNLimit
}

// DefaultPin is where a Filter is pinned on most machines.
const DefaultPin = "/sys/fs/bpf/sallyport"

// SYNLimit is how many connections a host may ask for, a second in the long
// run, and at once after a pause. A Rate of zero is no limit. Hosts are kept
// apart by a hash of 20 bits, so in a flood one may pay for another; and as the
// source of a SYN is easily made up, nobody is banned for it.
type SYNLimit struct {
	Rate  float64 // a second
	Burst int     // at least 1
}

// AttachMode is where in the kernel a packet is judged.
type AttachMode uint8

const (
	Auto    AttachMode = iota // Native where it works, else Generic
	Native                    // in the driver, before a socket buffer is allocated
	Generic                   // in the receive path; any interface can, at several times the cost
)

func (m AttachMode) String() string {
	switch m {
	case Auto:
		return "auto"
	case Native:
		return "native"
	case Generic:
		return "generic"
	}
	return fmt.Sprintf("AttachMode(%d)", uint8(m))
}

func (o Options) withDefaults() (Options, error) {
	if o.MaxBans == 0 {
		o.MaxBans = 1 << 20
	}
	if o.MaxPrefixes == 0 {
		o.MaxPrefixes = 1 << 14
	}
	if o.IPv6Prefix == 0 {
		o.IPv6Prefix = 64
	}
	var errs []error
	if len(o.Interfaces) == 0 {
		errs = append(errs, errors.New("no interfaces: want at least one"))
	}
	if sorted := slices.Sorted(slices.Values(o.Interfaces)); len(slices.Compact(sorted)) != len(o.Interfaces) {
		errs = append(errs, fmt.Errorf("interfaces %q: want each once", o.Interfaces))
	}
	if o.Attach > Generic {
		errs = append(errs, fmt.Errorf("attach mode %d: want Auto, Native or Generic", o.Attach))
	}
	if o.MaxBans < 1 || o.MaxBans > 1<<28 {
		errs = append(errs, fmt.Errorf("%d bans at most: want 1 to %d", o.MaxBans, 1<<28))
	}
	if o.MaxPrefixes < 1 || o.MaxPrefixes > 1<<20 {
		errs = append(errs, fmt.Errorf("%d prefixes at most: want 1 to %d", o.MaxPrefixes, 1<<20))
	}
	if o.IPv6Prefix < 1 || o.IPv6Prefix > 128 {
		errs = append(errs, fmt.Errorf("IPv6 prefix /%d: want /1 to /128", o.IPv6Prefix))
	}
	if s := o.SYNLimit; s != (SYNLimit{}) && (!(s.Rate >= 1e-3 && s.Rate <= 1e6) || s.Burst < 1 || s.Burst > 1e6) {
		errs = append(errs, fmt.Errorf("SYN limit of %v a second, %d at once: want 0.001 to 1e6 a second, 1 to 1e6 at once", s.Rate, s.Burst))
	}
	return o, errors.Join(errs...)
}

// synSlots is how many slots tell hosts apart for the SYN limit: 8 MiB.
const synSlots = 1 << 20

// variables returns what the program is told before it is loaded, by name.
func (o Options) variables() map[string]any {
	v := map[string]any{xdpVarHostMask: hostMask(o.IPv6Prefix)}
	if o.SYNLimit.Rate > 0 {
		interval := uint64(float64(time.Second) / o.SYNLimit.Rate)
		var seed [16]byte
		rand.Read(seed[:])
		v[xdpVarSynInterval] = interval
		v[xdpVarSynTolerance] = interval * uint64(o.SYNLimit.Burst-1)
		v[xdpVarSynSeed] = [2]uint64{binary.NativeEndian.Uint64(seed[:8]), binary.NativeEndian.Uint64(seed[8:])}
		v[xdpVarSynSlotMask] = uint32(synSlots - 1)
	}
	return v
}

// hostMask returns the mask of a prefix as the program has it: two halves of
// the address as they are in memory.
func hostMask(prefix int) [2]uint64 {
	left := func(n int) uint64 { return bits.ReverseBytes64(^uint64(0) << (64 - min(max(n, 0), 64))) }
	return [2]uint64{left(prefix), left(prefix - 64)}
}
