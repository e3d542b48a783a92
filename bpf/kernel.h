/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */

/* The few parts of the kernel's interface that the programs here use, written
 * down so that building them needs clang and nothing else: no kernel headers,
 * no libbpf. All of it is stable: headers as they are on the wire, and numbers
 * of the BPF system call's interface. The programs are built for little-endian
 * machines only. */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef _Bool bool;
#define true 1
#define false 0

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define ntohs(x) __builtin_bswap16(x)
#define htons(x) __builtin_bswap16(x)

/* The fields of a map's definition, which the loader reads from type information. */
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

#define BPF_MAP_TYPE_HASH 1
#define BPF_MAP_TYPE_ARRAY 2
#define BPF_MAP_TYPE_PERCPU_ARRAY 6
#define BPF_MAP_TYPE_LPM_TRIE 11
#define BPF_MAP_TYPE_RINGBUF 27
#define BPF_F_NO_PREALLOC 1

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static __u64 (*const bpf_ktime_get_ns)(void) = (void *)5;
static long (*const bpf_fib_lookup)(void *ctx, void *params, int size, __u32 flags) = (void *)69;
static void *(*const bpf_ringbuf_reserve)(void *map, __u64 size, __u64 flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *record, __u64 flags) = (void *)132;
static __u64 (*const bpf_ktime_get_coarse_ns)(void) = (void *)160;
static __u64 (*const bpf_xdp_get_buff_len)(void *ctx) = (void *)188; /* since Linux 5.18, like the next */
static long (*const bpf_xdp_load_bytes)(void *ctx, __u32 offset, void *to, __u32 size) = (void *)189;

#define XDP_DROP 1
#define XDP_PASS 2

struct xdp_md {
	__u32 data;
	__u32 data_end;
	__u32 data_meta;
	__u32 ingress_ifindex;
	__u32 rx_queue_index;
	__u32 egress_ifindex;
};

#define ETH_P_IP 0x0800
#define ETH_P_8021Q 0x8100
#define ETH_P_IPV6 0x86DD
#define ETH_P_8021AD 0x88A8

struct ethhdr {
	__be16 destination[3];
	__be16 source[3];
	__be16 type;
};

struct vlanhdr {
	__be16 tag;
	__be16 type;
};

struct iphdr {
	__u8 ihl : 4; /* in units of four bytes */
	__u8 version : 4;
	__u8 tos;
	__be16 tot_len;
	__be16 id;
	__be16 frag_off;
	__u8 ttl;
	__u8 protocol;
	__be16 check;
	__be32 saddr;
	__be32 daddr;
};

#define IP_OFFSET 0x1FFF /* of frag_off */

/* An IPv6 address as it is on the wire. Ours hold IPv4 ones too, as
 * ::ffff:a.b.c.d, so that one key serves both families. */
struct address {
	union {
		__u8 bytes[16];
		__u32 words[4];
		__u64 halves[2];
	};
};

struct ipv6hdr {
	__u8 priority : 4;
	__u8 version : 4;
	__u8 flow_label[3];
	__be16 payload_len;
	__u8 nexthdr;
	__u8 hop_limit;
	struct address saddr;
	struct address daddr;
};

/* What all IPv6 extension headers begin with; they are never shorter. */
struct ipv6_extension {
	__u8 nexthdr;
	__u8 hdrlen; /* in units and with an offset that the kind of header decides */
	__be16 frag_off; /* of a fragment header */
	__u8 rest[4];
};

/* The way of a packet, as far as it is asked for and answered here. */
struct bpf_fib_lookup {
	__u8 family;
	__u8 l4_protocol;
	__be16 source_port;
	__be16 destination_port;
	__u16 tot_len; /* 0: nobody asks whether it fits */
	__u32 ifindex; /* where it came in */
	__be32 flowinfo;
	struct address from; /* IPv4 is in the first word */
	struct address to;
	__u32 answer[4];
};

#define AF_INET 2
#define AF_INET6 10

#define BPF_FIB_LKUP_RET_SUCCESS 0
#define BPF_FIB_LKUP_RET_UNSUPP_LWT 6
#define BPF_FIB_LKUP_RET_NO_NEIGH 7
#define BPF_FIB_LKUP_RET_FRAG_NEEDED 8

#define IPV6_OFFSET 0xFFF8 /* of frag_off */

#define IPPROTO_HOPOPTS 0
#define IPPROTO_TCP 6
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_AH 51
#define IPPROTO_DSTOPTS 60

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct tcp_ports {
	__be16 source;
	__be16 destination;
};

/* As far as it is of interest. */
struct tcphdr {
	struct tcp_ports ports;
	__be16 sequence[2];
	__be16 acknowledged[2];
	__u8 data_offset;
	__u8 flags;
};
