package bpf

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// attachment is the program at one interface.
type attachment struct {
	name  string
	index int
	link  link.Link
	since time.Time
	// notNative is why Auto came to Generic, if it did just now.
	notNative error
	// problem is why the program is not there, as Watch has found.
	problem string
}

// attach attaches the program to the interfaces of the Options, and detaches it
// from those of an earlier process that are no longer among them. What can fail
// because of others comes first, and is undone when it does; replacing the
// program of a link that is there leaves no moment without one.
func (f *Filter) attach() (err error) {
	var attached []*attachment
	defer func() {
		if err == nil {
			return
		}
		for _, a := range attached {
			err = errors.Join(err, a.detach())
		}
		for _, a := range f.attachments {
			a.link.Close()
		}
		f.attachments = nil
	}()
	for _, name := range f.options.Interfaces {
		device, err := net.InterfaceByName(name)
		if err != nil {
			return fmt.Errorf("interface %q: %w", name, err)
		}
		a, err := f.pinnedAttachment(device)
		if err != nil {
			return err
		}
		if a != nil {
			f.attachments = append(f.attachments, a)
			if err := a.canTakeOver(f.options.Attach); err != nil {
				return err
			}
			continue
		}
		a = &attachment{name: name, index: device.Index, since: time.Now()}
		if err := a.attach(f.maps.SallyportBan, f.options.Attach, f.pins); err != nil {
			return err
		}
		attached = append(attached, a)
	}
	for _, a := range f.attachments {
		if err := a.link.Update(f.maps.SallyportBan); err != nil {
			return fmt.Errorf("replace the program at %s: %w", a.name, err)
		}
		f.pins.created = false // in force, so not to be undone
	}
	f.attachments = append(f.attachments, attached...)
	attached = nil
	return f.detachOthers()
}

// pinnedAttachment returns what an earlier process has attached to device, nil
// if nothing.
func (f *Filter) pinnedAttachment(device *net.Interface) (*attachment, error) {
	if f.pins == nil {
		return nil, nil
	}
	path := f.pins.linkPin(device.Index)
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	a := &attachment{name: device.Name, index: device.Index, link: l, since: info.ModTime()}
	program, err := a.linked()
	if err != nil {
		l.Close()
		return nil, err
	}
	hook, err := hookOf(device.Index)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("ask about interface %s: %w", device.Name, err)
	}
	switch {
	case program == 0: // its interface is gone, and the index was given to another
		err := l.Unpin()
		return nil, errors.Join(err, l.Close())
	case hook.program != program:
		l.Close()
		return nil, fmt.Errorf("%s is the link of an interface in another network namespace: want a directory for each", path)
	}
	return a, nil
}

// linked returns the program at the interface of a's link, 0 when that is gone.
func (a *attachment) linked() (program uint32, err error) {
	info, err := a.link.Info()
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", a.name, err)
	}
	if x := info.XDP(); x == nil || int(x.Ifindex) != a.index {
		return 0, nil
	}
	return uint32(info.Program), nil
}

// ours says whether the link still has the program of this Filter.
func (a *attachment) ours(maps *xdpObjects) (bool, error) {
	linked, err := a.linked()
	if err != nil || linked == 0 {
		return true, err
	}
	info, err := maps.SallyportBan.Info()
	if err != nil {
		return false, err
	}
	id, _ := info.ID()
	return uint32(id) == linked, nil
}

// attach makes the link and pins it.
func (a *attachment) attach(program *ebpf.Program, mode AttachMode, pins *pins) error {
	if err := a.makeLink(program, mode); err != nil {
		return err
	}
	if pins == nil {
		return nil
	}
	if err := a.link.Pin(pins.linkPin(a.index)); err != nil {
		return errors.Join(fmt.Errorf("pin link of %s: %w", a.name, err), a.link.Close())
	}
	return nil
}

func (a *attachment) makeLink(program *ebpf.Program, mode AttachMode) (err error) {
	flags := map[AttachMode]link.XDPAttachFlags{Native: link.XDPDriverMode, Generic: link.XDPGenericMode}
	try := func(mode AttachMode) error {
		a.link, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: a.index, Flags: flags[mode]})
		if errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EEXIST) {
			return busy(a)
		}
		if err != nil {
			return fmt.Errorf("attach to %s, %v: %w", a.name, mode, err)
		}
		return nil
	}
	if mode != Auto {
		return try(mode)
	}
	native := try(Native)
	if native == nil || errors.Is(native, ErrBusy) {
		return native
	}
	a.notNative = native
	if err := try(Generic); err != nil {
		return errors.Join(native, err)
	}
	return nil
}

// busy says whose program has the hook of a's interface.
func busy(a *attachment) error {
	h, err := hookOf(a.index)
	if err != nil || h.program == 0 {
		return fmt.Errorf("attach to %s: %w", a.name, ErrBusy)
	}
	// Without CAP_SYS_ADMIN there is no name to be had, only the number.
	called := ""
	if program, err := ebpf.NewProgramFromID(ebpf.ProgramID(h.program)); err == nil {
		if info, err := program.Info(); err == nil && info.Name != "" {
			called = fmt.Sprintf(" %q", info.Name)
		}
		program.Close()
	}
	return fmt.Errorf("attach to %s: %w by program %d%s (%v)", a.name, ErrBusy, h.program, called, h.mode)
}

// canTakeOver returns nil when the program that is there is attached as asked.
// Changing that takes a moment without any, and may fail for good.
func (a *attachment) canTakeOver(mode AttachMode) error {
	hook, err := hookOf(a.index)
	if err != nil {
		return fmt.Errorf("ask about interface %s: %w", a.name, err)
	}
	if mode != Auto && mode != hook.mode {
		return fmt.Errorf("attach to %s, %v: an earlier process has attached there, %v, and left that in force: close it first", a.name, mode, hook.mode)
	}
	return nil
}

// detach leaves nothing at the interface, whoever else has the link open.
func (a *attachment) detach() error {
	return errors.Join(a.unpin(), a.link.Detach(), a.link.Close())
}

// unpin removes the pin, if there is one.
func (a *attachment) unpin() error {
	p, ok := a.link.(interface{ IsPinned() bool })
	if !ok || !p.IsPinned() {
		return nil
	}
	if err := a.link.Unpin(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// detachOthers detaches the program from interfaces that an earlier process
// filtered on and this one does not.
func (f *Filter) detachOthers() error {
	if f.pins == nil {
		return nil
	}
	indexes, err := f.pins.linkPins()
	if err != nil {
		return err
	}
	for _, index := range indexes {
		if slices.ContainsFunc(f.attachments, func(a *attachment) bool { return a.index == index }) {
			continue
		}
		l, err := link.LoadPinnedLink(f.pins.linkPin(index), nil)
		if err != nil {
			return err
		}
		other := &attachment{name: fmt.Sprintf("interface %d", index), index: index, link: l}
		if err := other.detach(); err != nil {
			return err
		}
	}
	return nil
}
