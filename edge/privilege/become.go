package privilege

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Account is a user with its groups. The zero Account is root.
type Account struct {
	Name   string
	UID    int
	GID    int
	Groups []uint32
}

// Lookup returns the account of a user, by name or number.
func Lookup(name string) (Account, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if _, numeric := strconv.Atoi(name); numeric == nil {
			u, err = user.LookupId(name)
		}
	}
	if err != nil {
		return Account{}, fmt.Errorf("%q: no such user on this host", name)
	}
	a := Account{Name: u.Username}
	if a.UID, err = strconv.Atoi(u.Uid); err == nil {
		a.GID, err = strconv.Atoi(u.Gid)
	}
	if err != nil {
		return Account{}, fmt.Errorf("look up user %q: %w", name, err)
	}
	groups, err := u.GroupIds()
	if err != nil {
		return Account{}, fmt.Errorf("look up groups of user %q: %w", name, err)
	}
	for _, text := range groups {
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return Account{}, fmt.Errorf("look up groups of user %q: %w", name, err)
		}
		a.Groups = append(a.Groups, uint32(id))
	}
	return a, nil
}

// onceMore is in the environment of a process that Become has made.
const onceMore = "SALLYPORT_RIGHTS_DROPPED"

// Became says whether this process is one that Become has made, and forgets it. A
// program file with capabilities of its own gets them again each time: without
// this it would be replaced for ever.
func Became() bool {
	_, ok := os.LookupEnv(onceMore)
	os.Unsetenv(onceMore)
	return ok
}

// Become replaces this program by itself, as a, or as who it is for nil, with no
// other capabilities than keep, and none to be had by any program that it starts.
// The process keeps its id, and descriptors that are not closed on exec. It is to
// be called before anything was started; it returns on an error only, and then the
// process must end: the thread it runs on may have lost rights already.
//
// Rights are those of threads, and Go has many. So one of them gives up its rights,
// and then execs, by which the process has the rights of that one.
func Become(a *Account, keep Set) error {
	runtime.LockOSThread()
	if err := become(a, keep); err != nil {
		return fmt.Errorf("give up rights: %w", err)
	}
	return nil
}

func become(a *Account, keep Set) error {
	// The bounding set first, while there is the right to.
	for n := range 64 {
		if keep&(1<<n) != 0 {
			continue
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(n), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
			break // there are no more, or there is no right to: then none were given
		}
		if err != nil {
			return err
		}
	}
	if a != nil {
		if err := setUser(a); err != nil {
			return fmt.Errorf("become user %s: %w", a.Name, err)
		}
	}
	if err := setCapabilities(keep); err != nil {
		return fmt.Errorf("keep %v: %w", keep, err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	err := syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), onceMore+"=1"))
	return fmt.Errorf("start the program again: %w", err)
}

// setUser is for this thread alone; the functions of package syscall are for all.
func setUser(a *Account) error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	var groups unsafe.Pointer
	if len(a.Groups) > 0 {
		groups = unsafe.Pointer(&a.Groups[0])
	}
	if _, _, e := syscall.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(a.Groups)), uintptr(groups), 0); e != 0 {
		return e
	}
	gid, uid := uintptr(a.GID), uintptr(a.UID)
	if _, _, e := syscall.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); e != 0 {
		return e
	}
	if _, _, e := syscall.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); e != 0 {
		return e
	}
	return nil
}

func setCapabilities(keep Set) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := [2]unix.CapUserData{}
	for i := range data {
		part := uint32(keep >> (32 * i))
		data[i] = unix.CapUserData{Effective: part, Permitted: part, Inheritable: part}
	}
	if err := unix.Capset(&header, &data[0]); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	for rest := uint64(keep); rest != 0; rest &= rest - 1 {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(bits.TrailingZeros64(rest)), 0, 0); err != nil {
			return err
		}
	}
	return nil
}
