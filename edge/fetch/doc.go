// Package fetch keeps files from http and https URLs fresh in the background:
// CRLs, which are signed, so that http is as good as https for them. It knows
// nothing of what it fetches. The consumer looks at every file before it counts
// and says when the next one is due.
//
// [New] makes a [Fetcher] with a directory of its own, [Fetcher.Add] gives it a
// URL and a consumer, [Fetcher.Run] does the work. Nothing here is called while
// a client waits: consumers have what was accepted last, in memory or in the
// file that it was accepted from.
//
// # What is kept
//
// The last file that was accepted, with its ETag and Last-Modified, of mode 0600.
// After a restart it is offered to the consumer again before anything is fetched.
// A file takes another one's place only when it has come whole, was accepted and
// is on the disk.
//
// # When it fetches
//
// At the time the consumer gave with the last file, up to a tenth of the way
// earlier so that not all edges come at once, no more often than MinInterval and
// no more seldom than MaxInterval. After a failure it tries again with doubled
// waits, from MinBackoff to MaxBackoff; also when the time given has passed and
// the server has nothing new. A broken download is resumed where it broke, if the
// server gave a strong ETag for it.
//
// # What it refuses
//
// Addresses that are not of the public internet, as [Network] says. More than two
// redirects, and such to http from https. Names and passwords in URLs. Content
// encodings: a small answer has to be a small file. Files over MaxSize, headers
// over 64 KiB, silence for longer than IdleTimeout, less than 16 KiB in any
// SlowAfter, and any fetch for longer than Timeout. Of one host it fetches one file
// at a time. All that is not accepted yet has at most MaxParts bytes on the disk: a
// broken download, the oldest first, or else the largest one gives way. It keeps no cookies and heeds no proxy of the environment.
package fetch
