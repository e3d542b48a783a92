package bpf

import (
	"fmt"
	"net/netip"
)

// SetScope says which listeners' traffic is judged: TCP to these addresses and
// ports, everything else passes. The zero Addr and :: are any address of both
// families, as a listener on them takes IPv4 too; 0.0.0.0 is any IPv4 address.
// Any address is any of this machine's: what its routes lead elsewhere passes.
// What a bridge passes on is judged like its own.
// The new are judged before the old no longer are. No addresses: nothing is
// judged.
func (f *Filter) SetScope(listeners []netip.AddrPort) error {
	want := make(map[xdpEndpoint]bool)
	for _, l := range listeners {
		keys, err := endpoints(l)
		if err != nil {
			return fmt.Errorf("set scope: %w", err)
		}
		for _, k := range keys {
			want[k] = true
		}
	}
	if err := f.changing(func() error { return replace(f.scope(), want) }); err != nil {
		return fmt.Errorf("set scope: %w", err)
	}
	return nil
}

// MaxExempt is how many networks can be exempt at once.
const MaxExempt = 4096

// SetExempt says which sources are neither banned nor limited, whatever bans
// there are. The new are exempt before the old no longer are. More than MaxExempt
// are refused before anything is changed, by an error that wraps ErrFull.
func (f *Filter) SetExempt(prefixes []netip.Prefix) error {
	want := make(map[xdpNetwork]bool)
	for _, p := range prefixes {
		p, err := plain(p)
		if err != nil {
			return fmt.Errorf("set exempt: %w", err)
		}
		want[networkKey(p)] = true
	}
	if len(want) > MaxExempt {
		return fmt.Errorf("set exempt: %d networks: want at most %d: %w", len(want), MaxExempt, ErrFull)
	}
	if err := f.changing(func() error { return replace(f.exempt(), want) }); err != nil {
		return fmt.Errorf("set exempt: %w", err)
	}
	return nil
}

// Mode is what becomes of packets that should be dropped.
type Mode uint32

const (
	Enforce = Mode(xdpModeENFORCE) // they are
	DryRun  = Mode(xdpModeDRY_RUN) // they are counted, and pass
	Off     = Mode(xdpModeOFF)     // nothing is judged, all pass
)

func (m Mode) String() string {
	switch m {
	case Enforce:
		return "enforce"
	case DryRun:
		return "dry_run"
	case Off:
		return "off"
	}
	return fmt.Sprintf("Mode(%d)", uint32(m))
}

// SetMode takes effect with the next packet.
func (f *Filter) SetMode(m Mode) error {
	if m > Off {
		return fmt.Errorf("set mode: %v: want Enforce, DryRun or Off", m)
	}
	err := f.changing(func() error { return f.maps.Settings.Put(uint32(0), xdpSetting{Mode: xdpMode(m)}) })
	if err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	return nil
}

// Mode returns the mode in force, which Open takes over.
func (f *Filter) Mode() (Mode, error) {
	var s xdpSetting
	if err := f.reading(func() error { return f.maps.Settings.Lookup(uint32(0), &s) }); err != nil {
		return Off, fmt.Errorf("read mode: %w", err)
	}
	return Mode(s.Mode), nil
}
