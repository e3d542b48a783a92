// Package handoff carries sockets and state from a process to its successor.
//
// The two are joined by a pair of unix sockets of type SOCK_SEQPACKET, which keep
// messages apart and carry descriptors (unix(7), SCM_RIGHTS). Nobody else can
// reach it: it has no name, the predecessor makes it, and the successor inherits
// its end. So it may carry secrets.
//
//	successor      Hello      it is there, and speaks this protocol
//	predecessor    Lock       with the lock on the state directory
//	predecessor    Socket …   each with its descriptor
//	predecessor    Given      those were all
//	successor      Prepared   its configuration is sound, every file is read
//	predecessor    Sessions … TLS sessions so far
//	predecessor    Settled    what is kept on disk is there
//	successor      Ready      everything is open, nothing is accepted yet
//	predecessor    Bans …     what changed meanwhile
//	predecessor    Go
//	successor      Serving    from here on there is no way back
//	predecessor    Left       it accepts no more, and the service manager knows
//	predecessor    Sessions, Bans, Scores, Draining …  until it ends
//	successor      Bans …     meanwhile, if Left says that they are taken
//
// Failed from the successor, or the end of the connection at any point before
// Serving, leaves the predecessor as it was.
package handoff
