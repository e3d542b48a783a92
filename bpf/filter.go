package bpf

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

var (
	// ErrFull is returned when a ban finds no room. None is lifted to make any.
	ErrFull = errors.New("no room for more")
	// ErrBusy is returned by Open when an interface has an XDP program of
	// somebody else.
	ErrBusy = errors.New("XDP hook is taken")
	// ErrClosed is returned once a Filter was closed or released.
	ErrClosed = errors.New("filter is closed")
)

// Filter is the program in force and the maps that it asks. It may be used by
// many goroutines; what changes bans is done one at a time.
type Filter struct {
	options Options
	hosts   hosts
	pins    *pins // nil: nothing is pinned

	// mu is held for reading by what looks at the maps, for writing by what
	// changes bans, so that what is found expired is not a ban just renewed.
	mu          sync.RWMutex
	closed      bool
	maps        xdpObjects
	attachments []*attachment
	reader      *ringbuf.Reader // while Events runs
}

// Open loads the program and attaches it to the interfaces. Where an earlier
// process has left its own, the program is replaced in one step and the bans,
// scope, exemptions, mode and counters are kept; where they were kept in maps
// of another layout (other Options, another version), they are copied into new
// ones first. Bans that a process still running makes during that copying are
// its own to hand over. A new Filter enforces, but judges nothing before
// SetScope.
//
// When Open fails, all is as it was. It returns an error wrapping ErrBusy when
// an interface has another XDP program, and one wrapping ErrFull when there are
// more bans to copy than the Options have room for.
func Open(o Options) (*Filter, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open XDP filter: %w", err)
	}
	f := &Filter{options: o, hosts: hosts(o.IPv6Prefix)}
	if o.Pin != "" {
		f.pins, err = openPins(o.Pin, layoutOf(o))
		if err != nil {
			return nil, fmt.Errorf("open XDP filter: %w", err)
		}
		defer f.pins.unlock()
	}
	if err := f.open(); err != nil {
		return nil, fmt.Errorf("open XDP filter: %w", err)
	}
	return f, nil
}

func (f *Filter) open() (err error) {
	defer func() {
		if err == nil {
			return
		}
		f.maps.Close()
		if f.pins != nil {
			err = errors.Join(err, f.pins.undo())
		}
	}()
	if err := f.load(); err != nil {
		return err
	}
	if f.pins != nil {
		if err := f.inherit(); err != nil {
			return err
		}
	}
	if err := errors.Join(f.scope().rebuild(), f.exempt().rebuild()); err != nil {
		return err
	}
	if err := f.attach(); err != nil {
		return err
	}
	if f.pins != nil {
		return f.pins.removeOtherLayouts()
	}
	return nil
}

// pinned are the maps that outlive the process. The others are of use only to
// the program that they were loaded with.
var pinned = []string{xdpMapHosts, xdpMapNetworks, xdpMapExempt, xdpMapExemptBytes, xdpMapScope, xdpMapPorts, xdpMapSettings, xdpMapCounts}

// load puts program and maps into the kernel, with the maps pinned for this
// layout if there are any.
func (f *Filter) load() error {
	spec, err := loadXdp()
	if err != nil {
		return err
	}
	for name, value := range f.options.variables() {
		if err := spec.Variables[name].Set(value); err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
	}
	spec.Maps[xdpMapHosts].MaxEntries = uint32(f.options.MaxBans)
	spec.Maps[xdpMapNetworks].MaxEntries = uint32(f.options.MaxPrefixes)
	if f.options.SYNLimit.Rate > 0 {
		spec.Maps[xdpMapSynSlots].MaxEntries = synSlots
	}
	spec.Maps[xdpMapEvents].ValueSize = 0
	spec.Maps[xdpMapEvents].Value = nil

	var options ebpf.CollectionOptions
	if f.pins != nil {
		options.Maps.PinPath = f.pins.maps
		for _, name := range pinned {
			spec.Maps[name].Pinning = ebpf.PinByName
		}
	}
	if err := spec.LoadAndAssign(&f.maps, &options); err != nil {
		return fmt.Errorf("load XDP program: %w", err)
	}
	return nil
}

// Close detaches the program and removes everything that was pinned. What
// another process has taken over meanwhile is left to that one.
func (f *Filter) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	if f.pins == nil {
		return f.release()
	}
	if err := f.pins.lock(); err != nil {
		return fmt.Errorf("close XDP filter: %w", err)
	}
	defer f.pins.unlock()
	var errs []error
	takenOver := false
	for _, a := range f.attachments {
		switch ours, err := a.ours(&f.maps); {
		case err != nil:
			errs = append(errs, err)
		case !ours:
			takenOver = true
		default:
			errs = append(errs, a.detach())
		}
	}
	errs = append(errs, f.release())
	if !takenOver {
		errs = append(errs, f.pins.remove())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close XDP filter: %w", err)
	}
	return nil
}

// Release ends the use of the Filter and leaves the program enforcing, for the
// next Open to take over. Bans still end by themselves. Where nothing is
// pinned, nothing is left.
func (f *Filter) Release() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	return f.release()
}

func (f *Filter) release() error {
	f.closed = true
	var errs []error
	if f.reader != nil {
		errs = append(errs, f.reader.Close())
	}
	for _, a := range f.attachments {
		errs = append(errs, a.link.Close())
	}
	return errors.Join(append(errs, f.maps.Close())...)
}

// reading calls do while the maps are there to be read.
func (f *Filter) reading(do func() error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.closed {
		return ErrClosed
	}
	return do()
}

// changing calls do while nobody else changes bans.
func (f *Filter) changing(do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return ErrClosed
	}
	return do()
}
