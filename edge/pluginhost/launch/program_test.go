package launch

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// beProgram is what a plugin's program does in these tests.
func beProgram(mode string, args []string) {
	data := os.NewFile(DataFD, "data")
	switch mode {
	case "echo":
		echo(data)
	case "exit":
		for _, line := range args[1:] {
			fmt.Fprintln(os.Stderr, line)
		}
		status, _ := strconv.Atoi(args[0])
		os.Exit(status)
	case "hang": // deaf to all that can be ignored
		signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
		say(data, os.Getpid())
		for {
			unix.Pause()
		}
	case "write":
		for range 2000 {
			fmt.Println(strings.Repeat("o", 99))
		}
		for _, line := range args {
			fmt.Fprintln(os.Stderr, line)
		}
		say(data, "written")
		echo(data)
	case "lines":
		for _, line := range args {
			fmt.Fprintln(os.Stderr, line)
		}
		fmt.Println("to standard output")
		echo(data)
	case "environment":
		dir, _ := os.Getwd()
		stdin, _ := io.ReadAll(os.Stdin)
		say(data, surroundings{Env: os.Environ(), Dir: dir, FDs: openFiles(), Stdin: string(stdin), Umask: syscall.Umask(0), Args: os.Args})
		echo(data)
	case "orphan": // of a grandchild that has left session and group, with our stdio
		middle := exec.Command("/proc/self/exe", "program", "middle")
		middle.Stderr = os.Stderr
		out, _ := middle.StdoutPipe()
		if err := middle.Start(); err != nil {
			say(data, []int{-1})
			return
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		_ = middle.Wait()
		pid, _ := strconv.Atoi(strings.TrimSpace(line))
		say(data, []int{os.Getpid(), pid})
		if len(args) > 0 {
			echo(data)
			return // before it
		}
		unix.Pause()
	case "middle":
		sleeper := exec.Command("/proc/self/exe", "program", "sleeper")
		sleeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		sleeper.Stdout, sleeper.Stderr = os.Stderr, os.Stderr
		if err := sleeper.Start(); err != nil {
			fmt.Println(-1)
			return
		}
		fmt.Println(sleeper.Process.Pid)
	case "sleeper":
		for {
			unix.Pause()
		}
	case "try":
		say(data, try(args))
		echo(data)
	}
}

// echo goes on until the socket's end. (io.Copy would splice it to itself, and wait
// for a full pipe.)
func echo(data *os.File) {
	for buffer := make([]byte, 4096); ; {
		n, err := data.Read(buffer)
		if err != nil {
			return
		}
		_, _ = data.Write(buffer[:n])
	}
}

func say(to io.Writer, value any) { _ = json.NewEncoder(to).Encode(value) }

type surroundings struct {
	Env, Args  []string
	Dir, Stdin string
	FDs        []int
	Umask      int
}

func openFiles() []int {
	var open []int
	for fd := range 256 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			continue
		}
		// Go's own, of its poller, are not inherited.
		if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
			open = append(open, fd)
		}
	}
	return open
}

// try does what its arguments say and returns how each went: "ok" or the error.
func try(what []string) map[string]string {
	results := map[string]string{}
	for _, w := range what {
		verb, object, _ := strings.Cut(w, " ")
		var err error
		switch verb {
		case "read":
			_, err = os.ReadFile(object)
		case "write":
			err = os.WriteFile(object, []byte("x"), 0o600)
		case "execute":
			err = exec.Command(object).Run()
		case "socket":
			family, _ := strconv.Atoi(object)
			_, err = unix.Socket(family, unix.SOCK_STREAM, 0)
		case "connect-unix":
			_, err = net.Dial("unix", object)
		case "connect-tcp":
			_, err = net.Dial("tcp", object)
		case "resolve":
			_, err = net.DefaultResolver.LookupHost(context.Background(), object)
		case "signal":
			pid := os.Getppid()
			err = unix.Kill(pid, 0)
		case "signal-self":
			err = unix.Kill(os.Getpid(), 0)
		case "signal-pidfd": // of the edge, whose socketpair it is
			var fd int
			if fd, err = unix.GetsockoptInt(DataFD, unix.SOL_SOCKET, unix.SO_PEERPIDFD); err == nil {
				err = unix.PidfdSendSignal(fd, 0, nil, 0)
			}
		case "signal-owner":
			_, err = unix.FcntlInt(DataFD, unix.F_SETOWN, os.Getppid())
		case "limit-parent": // to what it is
			var now unix.Rlimit
			if err = unix.Getrlimit(unix.RLIMIT_CPU, &now); err == nil {
				err = unix.Prlimit(os.Getppid(), unix.RLIMIT_CPU, &now, nil)
			}
		case "limit-self":
			var now unix.Rlimit
			if err = unix.Prlimit(0, unix.RLIMIT_CPU, nil, &now); err == nil {
				err = unix.Prlimit(os.Getpid(), unix.RLIMIT_CPU, &now, nil)
			}
		case "chmod":
			err = unix.Chmod(object, 0o644)
		case "call": // by number, with a path and zeros
			number, path, _ := strings.Cut(object, " ")
			n, _ := strconv.Atoi(number)
			name, _ := unix.BytePtrFromString(path)
			err = errnoOf(unix.RawSyscall(uintptr(n), uintptr(unsafe.Pointer(name)), 0, 0))
		case "fchmodat":
			err = unix.Fchmodat(unix.AT_FDCWD, object, 0o644, 0)
		case "fchmod":
			var f *os.File
			if f, err = os.Open(object); err == nil {
				err = f.Chmod(0o644)
				f.Close()
			}
		case "chown":
			err = os.Chown(object, os.Getuid(), os.Getgid())
		case "utime":
			err = unix.Utimes(object, make([]unix.Timeval, 2))
		case "utimens":
			err = unix.UtimesNanoAt(unix.AT_FDCWD, object, make([]unix.Timespec, 2), 0)
		case "setxattr":
			err = unix.Setxattr(object, "user.x", []byte("x"), 0)
		case "truncate":
			err = os.Truncate(object, 0)
		case "datagram":
			var fd int
			if fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0); err == nil {
				err = unix.Sendto(fd, []byte("x"), 0, &unix.SockaddrUnix{Name: object})
			}
		case "datagram-raw": // the kernel makes it one of datagrams
			_, err = unix.Socket(unix.AF_UNIX, unix.SOCK_RAW, 0)
		case "datagram-pair":
			var pair [2]int
			if pair, err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0); err == nil {
				err = unix.Sendto(pair[0], []byte("x"), 0, &unix.SockaddrUnix{Name: object})
			}
		case "ptrace":
			runtime.LockOSThread()
			err = errnoOf(unix.RawSyscall(unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0))
		case "unshare":
			err = unix.Unshare(unix.CLONE_NEWUSER)
		case "namespace":
			child := exec.Command("/proc/self/exe", "program", "exit", "0")
			child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
			err = child.Run()
		case "clone3":
			var args [11]uint64
			err = errnoOf(unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), 0, 0))
		case "bpf":
			err = errnoOf(unix.RawSyscall(unix.SYS_BPF, 0, 0, 0))
		case "io_uring":
			err = errnoOf(unix.RawSyscall(unix.SYS_IO_URING_SETUP, 1, 0, 0))
		case "mount":
			err = unix.Mount("none", "/tmp", "tmpfs", 0, "")
		case "keyctl":
			err = errnoOf(unix.RawSyscall(unix.SYS_KEYCTL, 0, 0, 0))
		case "thread": // threads and processes have to work
			err = exec.Command("/proc/self/exe", "program", "exit", "0").Run()
		}
		results[w] = "ok"
		if err != nil {
			results[w] = err.Error()
		}
	}
	return results
}

func errnoOf(_, _ uintptr, errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// beEdge starts one plugin as a process of its own, prints the program's id and
// report, and stays.
func beEdge(order string) {
	var o struct {
		Spec    Spec
		Options Options
	}
	if err := json.Unmarshal([]byte(order), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	p, err := Start(context.Background(), o.Spec, o.Options)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	line, _ := bufio.NewReader(p.Conn()).ReadString('\n')
	say(os.Stdout, edgeSays{PID: p.Pid(), Report: p.Report(), Heard: strings.TrimSpace(line)})
	<-p.Done()
	os.Exit(0)
}

type edgeSays struct {
	PID    int
	Report SandboxReport
	Heard  string
}
