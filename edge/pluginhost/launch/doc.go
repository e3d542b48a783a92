// Package launch is the life of one plugin process: it is started, it is watched,
// it ends, and nothing of it is left.
//
//	edge ── go-plugin ──► launcher (sallyport plugin-run) ── exec ──► stage ── exec ──► program
//	  └────────────────────── data socket, the program's fd 3 ──────────────────────────────┘
//
// The launcher is what go-plugin knows as the plugin: it speaks go-plugin's
// handshake, health check, shutdown and log lines, so that the program need not.
// The stage is the same executable once more; it takes away what the program must
// not have and becomes the program, with the same process id. The program is in
// any language and speaks frames on fd 3. Neither launcher nor stage keeps that
// socket, so either end sees the other's.
//
// # What the program gets
//
// Arguments as configured. The environment of Environment and no other variable.
// Standard input is /dev/null. What it writes to standard output and error becomes
// log lines of the edge: a line of JSON with level and msg keeps its level, others
// are Info (output) or Warn (error); a line is cut after 4 KiB, and after a burst of
// 200 lines 50 each second are kept, and what was dropped is counted. Descriptor 3
// is the data socket; from descriptor 4 on are a pinned script and pinned arguments, in
// their order; no other is open. The working
// directory is Spec.Dir, or /. The umask is 077.
//
// # What it must not do
//
// See Sandbox. What is in force differs by kernel and by the rights of the edge, so
// every Process has a SandboxReport, and Sandbox.Require names what must be. The
// stage acts in this order: process group, parent-death signal, limits, cgroup,
// capabilities and ids, no_new_privs, landlock, seccomp, exec. All of it is done on
// one locked thread, which also calls execve: an exec leaves that thread only, with
// its attributes. Nothing is asked of the other threads of the Go runtime, which is
// as well: with landlock's signal scope on one thread, kernels before 6.15 refuse
// the very signals by which a change is told to the others.
//
// Without Sandbox.User the program has the edge's user id, and the kernel takes it
// for the edge wherever only that counts. Seccomp then denies what landlock does not
// know: limits and priorities of other processes, modes, owners, times and
// attributes of files (of its own too: no filter can tell them apart). Landlock
// keeps signals in from its version 6 on; below, seccomp denies all but those to
// the program itself and its group, so that it cannot end a single child either.
// What is left to it is to see names, sizes and modes of files, and that processes
// are there. User "dynamic" is the better choice wherever the edge may give it.
//
// # How it ends
//
// The launcher ends the program's process group and whatever else descends from
// it (it is their subreaper, so none gets away by a double fork) when the program
// has exited, when the edge says so, and when the edge is no more, which it sees by
// the end of the socket that it was given its orders on. If the launcher itself is
// killed, the kernel kills the program, and the edge its process group and cgroup. A
// stopped launcher is woken by the kernel when the edge dies. Only descendants that
// left the process group outlive a SIGKILL of edge and launcher at once; with a
// cgroup they are killed by the next Start on the same RunDir.
//
// The launcher ignores SIGTERM: whether a plugin runs is the edge's decision. A
// service manager should send its SIGTERM to the edge only (KillMode=mixed).
package launch
