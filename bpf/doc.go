// Package bpf drops packets in XDP: those of banned addresses and, where that
// is asked for, SYNs that come too fast. It knows addresses, sockets and time,
// and decides nothing: whom to ban, why and for how long is its caller's to
// say, and what the kernel lets through is the caller's to refuse.
//
// [Open] loads the program, attaches it to interfaces and returns a [Filter].
// Only TCP to the addresses and ports of [Filter.SetScope] is judged, so that a
// ban does not shut its operator out of the machine, and of what this machine
// routes to others nothing is. There, whom
// [Filter.SetExempt] names passes, whom [Filter.Ban] names is dropped until the
// time given, which the kernel itself looks at; then comes the SYN limit. Every
// packet's [Verdict] is counted.
//
// # What passes
//
// Whatever the program cannot read: a frame that ends within a header, more
// than four VLAN tags or eight IPv6 extension headers, later fragments (the
// first one is judged, and they are nothing without it), anything but TCP.
// Each is counted under a name of its own.
//
// # What outlives the process
//
// Maps and links are pinned below [Options.Pin], so that bans stay in force
// while a process is replaced, or after it was killed; they are gone after a
// reboot. The next Open takes them over:
//
//	PIN/maps-VERSION-IPV6PREFIX-MAXBANS-MAXPREFIXES/{hosts,networks,exempt,exempt_bytes,scope,ports,settings,counts}
//	PIN/link-IFINDEX
//
// # Steering
//
// [OpenSteering] is apart from that: it gives connections to whole prefixes and
// port ranges to listening sockets.
//
// # What it needs
//
// Linux 5.18 on a little-endian machine, CAP_BPF and CAP_NET_ADMIN, and to pin
// anything a BPF file system that its user may write to. See [Supported].
package bpf

// With mcpu=v3 the compiler keeps half registers on the stack, and there a
// program loaded without CAP_PERFMON may not write over one in Linux 6.1.
//
//go:generate go tool bpf2go -cc clang-14 -strip llvm-strip-14 -target bpfel -tags linux -type address -type endpoint -type network -type ban -type setting -type count -type event -type telling -type listeners -type verdict -type mode xdp ban.bpf.c -- -O2 -g -Wall -Wextra -Werror -mcpu=v2
