// Package peers measures Sallyport beside what it would replace: nginx, HAProxy,
// Caddy, and a plain reverse proxy of Go's net/http.
//
// All are set up from one description: the same PKI, CRLs, key exchange,
// identity headers, target, logs and session tickets; see site. Before a server
// is measured it has to prove that it does what it is measured for: it lets a
// good client in, refuses one without a certificate and a revoked one, tells the
// target who the client is whatever the client says of itself, and writes a log.
//
// A figure is the CPU time of the server's processes, user and system, in a
// window of load after a warm-up, divided by what was done in it. The server has
// one core and one worker; the load and the target have another core. Processes
// are started anew for every window, so none profits from what an earlier one
// has left in its caches, and only one server runs at a time.
//
// What CPU time buys drifts with whatever else the machine does. So the servers
// take turns, scenario by scenario and round by round, and a ratio is the median
// of the ratios within a round. The kernel counts CPU time in steps of 10 ms; a
// window costs the server 400 ms or more, so a step lost is 2.5 percent at most.
//
// Linux only.
package peers
