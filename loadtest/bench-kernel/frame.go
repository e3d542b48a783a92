package main

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// Where the fields of a frame of Ethernet, IPv4 and TCP are, in bytes.
const (
	ipSum     = 14 + 10
	ipSource  = 14 + 12
	tcpSource = 34
	tcpSum    = 34 + 16
	frameSize = 54
)

// synFrame is a SYN from a source and port to a listener, with its checksums.
func synFrame(from, to net.HardwareAddr, source netip.AddrPort, target netip.AddrPort) []byte {
	b := make([]byte, frameSize)
	copy(b, to)
	copy(b[6:], from)
	be := binary.BigEndian
	be.PutUint16(b[12:], 0x0800)
	ip, tcp := b[14:34], b[34:]
	ip[0], ip[8], ip[9] = 4<<4|5, 64, 6
	be.PutUint16(ip[2:], uint16(len(ip)+len(tcp)))
	copy(ip[12:], source.Addr().AsSlice())
	copy(ip[16:], target.Addr().AsSlice())
	be.PutUint16(tcp, source.Port())
	be.PutUint16(tcp[2:], target.Port())
	tcp[12], tcp[13] = 5<<4, 1<<1 // no options; SYN
	be.PutUint16(tcp[14:], 64240)
	be.PutUint16(b[ipSum:], checksum(sum16(ip)))
	be.PutUint16(b[tcpSum:], checksum(pseudoSum(ip, tcp)))
	return b
}

// pseudoSum is of the segment and its pseudo header (RFC 9293 section 3.1).
func pseudoSum(ip, tcp []byte) uint32 {
	return sum16(ip[12:20]) + uint32(ip[9]) + uint32(len(tcp)) + sum16(tcp)
}

// sum16 adds up the 16-bit words of b, which has an even number of bytes.
func sum16(b []byte) uint32 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	return sum
}

func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// checksum is that of a sum (RFC 1071).
func checksum(sum uint32) uint16 { return ^fold(sum) }
