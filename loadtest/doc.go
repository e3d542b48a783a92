// Package loadtest loads a TLS server with clients that present certificates,
// and measures what that costs it. Run takes a Plan and returns a Result.
//
// # Units
//
// What is counted is a unit; Scenario says what one is. A unit is done when the
// whole answer came with the status that was wanted. It was refused when the
// server said so: by a TLS alert, or by a status that refuses a client (400, 401,
// 403, 495, 496). It has failed in every other case, a connection that was merely
// closed or reset among them. In TLS 1.3 the client's handshake returns before
// the server has judged its certificate (RFC 8446 section 2), so that only an
// answer proves that a client was let in: every unit sends a request.
//
// # Open and closed loop
//
// In closed loop a connection begins a unit when it has ended the last. A server
// that stands still for a second is then asked nothing for a second, and the
// pause shows in as many latencies as there are connections: this is coordinated
// omission. In open loop units are due by the pace alone. Those that find no
// connection free wait, and Latency counts from when each was due; Service counts
// from when it was begun. Units that nobody answered count in Latency, too, with
// the time that they had waited. Closed loop finds out what a server can do at most,
// open loop what its clients would see. Units begin to within some ten
// microseconds of when they are due, or to within 0.1 ms at over 10,000
// a second, and that much is in Latency.
//
// # CPU time and memory
//
// With a pid, Server is what that process and all that descend from it used: user
// and system time by /proc/PID/stat, resident memory by /proc/PID/status. They are
// read when the warm-up's units have ended and the server has come to rest, and
// again after the last unit, so that all that a unit causes is in it, and
// PerUnit is by units done and refused. Not in it are the connections of
// scenarios that keep them, which are made before and closed after, and the
// sessions that scenario resume begins with. Time is read in ticks of 10 ms;
// memory that processes share counts for each of them.
//
// # The generator
//
// A generator that is too slow measures itself. Generator is what it used, the
// whole process with whatever else is in it; Calibrate finds its Capacity, beside
// a server of its own that shares its cores, so that it is a lower bound; and
// Warnings say when it was, or may have been, the bottleneck. It verifies the
// server's certificate once for each chain, not in every handshake. Profiles
// other than go send a browser's ClientHello, and cost more.
//
// What is not on this machine is loaded only where Plan.ConfirmTarget names it.
package loadtest
