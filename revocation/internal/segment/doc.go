// Package segment keeps the revoked serials of one list: an immutable table
// that answers exactly, with a bloom filter in front of it, in memory or in a
// file that is mapped.
//
// A [Builder] takes entries in any order and writes a [Segment]. What it needs
// in memory does not grow with their number when it has a directory: entries
// wait in a file without a name, split by hash, and become the segment one part
// after another.
//
// All that a search touches is found by one keyed hash of the serial (SipHash
// 1-3, the key drawn at random for each segment, so that nobody can choose
// serials that fall together):
//
//	filter     blocks of 64 bytes, one cache line; 12 bits an entry. Of serials
//	           that are not in the table 99.6 % end here
//	directory  for each bucket of 16 rows on average, where its rows start
//	rows       the serial itself, then its [Entry]
//
// Only octets that are equal to a row's are ever found. There are three tables,
// by how a serial is written: up to 16 octets, 17 to 20, and all others. The
// first two hold a serial sign-extended to their width, which is one to one for
// the minimal octets that DER demands; any other octets, and longer ones, are
// in the third as they are, so that 0001 is not 01 and ff (-1) is not 00ff.
//
// # The file
//
// Numbers are little-endian. The front holds the header, a CRC-32C for each 4096
// bytes behind the front, and the caller's head; its last four bytes are the
// CRC-32C of all its others. The filter and the tables follow, each from a page
// boundary on. The file is read only after its front was found whole, and each
// page of the rest is compared with its checksum the first time a search comes
// to it. Checksums find damage; they do not stop a forger. That is left to the
// permissions: [Open] takes files and directories only that nobody but this user
// and root can change.
package segment
