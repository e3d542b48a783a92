// Package report shows what load runs measured, to people: Text sums up one
// result for a terminal, Compare sets two side by side, and HTML draws one or
// several on a page of its own that needs nothing else: no script, no font, no
// network. Read is the way back from a result's JSON.
//
// Nothing here measures, and nothing is recomputed that a result already states.
// What a result has not got, or what is no number, is shown as a dash. Names and
// error texts may have come from the server under load: they are escaped on the
// page and stripped of control characters everywhere.
//
// All functions may be called concurrently, as long as nobody changes the
// results meanwhile.
package report
