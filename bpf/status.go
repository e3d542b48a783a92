package bpf

import "time"

// InterfaceStatus is what the filter does on one interface.
type InterfaceStatus struct {
	Interface string
	Index     int
	Mode      AttachMode // Native or Generic; Auto when Problem says why neither
	Since     time.Time  // attached, by whatever process
	Program   uint32     // its number in the kernel
	NotNative string     // why Auto did not come to Native, if that was tried by this process
	Problem   string     // why nothing is dropped here, "" when all is well
}

// Status asks the kernel what is attached where.
func (f *Filter) Status() []InterfaceStatus {
	f.mu.RLock()
	defer f.mu.RUnlock()
	var all []InterfaceStatus
	for _, a := range f.attachments {
		all = append(all, a.status(f.closed))
	}
	return all
}

func (a *attachment) status(closed bool) InterfaceStatus {
	s := InterfaceStatus{Interface: a.name, Index: a.index, Since: a.since}
	if a.notNative != nil {
		s.NotNative = a.notNative.Error()
	}
	if closed {
		s.Problem = ErrClosed.Error()
		return s
	}
	program, err := a.linked()
	switch {
	case a.problem != "":
		s.Problem = a.problem
		return s
	case err != nil:
		s.Problem = err.Error()
		return s
	case program == 0:
		s.Problem = "the interface is gone, or the program was detached from it"
		return s
	}
	hook, err := hookOf(a.index)
	if err != nil {
		s.Problem = "ask about interface " + a.name + ": " + err.Error()
		return s
	}
	s.Mode, s.Program = hook.mode, program
	return s
}
