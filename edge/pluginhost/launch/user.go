package launch

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Where systemd, too, takes the ids of dynamic users from.
const (
	firstDynamicUser = 61184
	lastDynamicUser  = 65519
)

// account is whom a program runs as.
type account struct {
	uid, gid int
	lock     *os.File // holds a dynamic id; nil for others
}

func (a *account) release() {
	if a != nil && a.lock != nil {
		a.lock.Close()
	}
}

// resolveUser finds the account of Sandbox.User, nil for none. A dynamic one is
// held until it is released: two processes never share one.
func resolveUser(want, plugin string, dir *runDir) (*account, error) {
	if want == "" {
		return nil, nil
	}
	a, err := findAccount(want, plugin, dir)
	if err != nil {
		return nil, fmt.Errorf("plugin user %q: %w", want, err)
	}
	if a.uid == 0 || a.gid == 0 {
		return nil, fmt.Errorf("plugin user %q: is root or in root's group", want)
	}
	if (a.uid != os.Geteuid() || a.gid != os.Getegid()) && !mayChangeUser() {
		a.release()
		return nil, fmt.Errorf("plugin user %q: the edge may not change to another user (that takes CAP_SETUID, CAP_SETGID, and CAP_KILL to end it)", want)
	}
	return a, nil
}

func findAccount(want, plugin string, dir *runDir) (*account, error) {
	if want == "dynamic" {
		return dynamicAccount(plugin, dir)
	}
	name, group, grouped := strings.Cut(want, ":")
	if uid, err := id(name); err == nil {
		gid, err := id(group)
		if err != nil {
			return nil, errors.New("want name, name:group, uid:gid or dynamic")
		}
		return &account{uid: uid, gid: gid}, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, err
	}
	if grouped {
		g, err := user.LookupGroup(group)
		if err != nil {
			return nil, err
		}
		u.Gid = g.Gid
	}
	uid, err := id(u.Uid)
	if err != nil {
		return nil, err
	}
	gid, err := id(u.Gid)
	if err != nil {
		return nil, err
	}
	return &account{uid: uid, gid: gid}, nil
}

// id refuses the id -1, which the system calls take for "as it is".
func id(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("id %q: want 0 to %d", text, uint32(1<<32-2))
	}
	return int(n), nil
}

// dynamicAccount takes an id that no account and no process has. It begins with
// the one that the plugin's name gives, so that a plugin mostly keeps its id.
func dynamicAccount(plugin string, dir *runDir) (*account, error) {
	const count = lastDynamicUser - firstDynamicUser + 1
	h := fnv.New32a()
	h.Write([]byte(plugin))
	begin := int(h.Sum32() % count)
	used, err := usersOfProcesses()
	if err != nil {
		return nil, err
	}
	for i := range count {
		uid := firstDynamicUser + (begin+i)%count
		if used[uid] {
			continue
		}
		if _, err := user.LookupId(strconv.Itoa(uid)); err == nil {
			continue
		}
		lock, err := tryLock(filepath.Join(dir.base, fmt.Sprintf("uid-%d", uid)))
		if err != nil {
			return nil, err
		}
		if lock != nil {
			return &account{uid: uid, gid: uid, lock: lock}, nil
		}
	}
	return nil, fmt.Errorf("all of the ids %d to %d are in use", firstDynamicUser, lastDynamicUser)
}

func usersOfProcesses() (map[int]bool, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	used := map[int]bool{}
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Stat("/proc/"+entry.Name(), &st) == nil {
			used[int(st.Uid)] = true
		}
	}
	return used, nil
}

func mayChangeUser() bool {
	return haveCapability(unix.CAP_SETUID) && haveCapability(unix.CAP_SETGID) && haveCapability(unix.CAP_KILL)
}

// haveCapability tells whether it is effective in the calling thread.
func haveCapability(capability int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	return unix.Capget(&header, &data[0]) == nil && data[capability/32].Effective&(1<<(capability%32)) != 0
}
