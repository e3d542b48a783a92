//go:build ignore

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */

/* Gives connections to any address of a prefix and any port of a range to one
 * listening socket, which need not be bound to either. The kernel asks here where
 * it looks for a listener, for each SYN: connections that are there are found
 * without. Who gets what is fixed before the program is attached; another table
 * is another program with maps of its own, put in its place in one step. */

#include "kernel.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define BPF_MAP_TYPE_PERCPU_HASH 5
#define BPF_MAP_TYPE_SOCKMAP 15

#define SK_DROP 0
#define SK_PASS 1

struct bpf_sk_lookup {
	__u64 sk; /* the socket chosen, by an earlier program */
	__u32 family;
	__u32 protocol;
	__be32 remote_ip4;
	__be32 remote_ip6[4];
	__be16 remote_port;
	__u16 zero;
	__be32 local_ip4;
	__be32 local_ip6[4];
	__u32 local_port; /* in host byte order */
	__u32 ingress_ifindex;
};

struct bpf_sock;

/* A lookup in a SOCKMAP, which alone returns something to release. */
static struct bpf_sock *(*const bpf_socket_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_sk_release)(struct bpf_sock *sk) = (void *)86;
static long (*const bpf_sk_assign)(void *ctx, struct bpf_sock *sk, __u64 flags) = (void *)124;

/* If the socket is one of several with SO_REUSEPORT, it is the one meant. */
#define BPF_SK_LOOKUP_F_NO_REUSEPORT 2

/* What is steered, as it was configured. */
struct destination {
	struct address prefix;
	__u32 bits; /* of the prefix, those of IPv4 counted as such */
	__u16 first; /* port */
	__u16 last; /* inclusive */
};

/* Where it is steered to. */
struct steering {
	struct destination destination;
	__u64 socket; /* its slot */
};

/* A prefix of addresses, for the ports of a class. */
struct place {
	__u64 head; /* how many bits count, of what follows them; in the upper half the class and the family */
	struct address address;
};

#define PLACE_BITS (8 * (sizeof(struct place) - sizeof(__u32)))
#define IPV4 (4ULL << 48)
#define IPV6 (6ULL << 48)

/* Ports between which no range begins or ends are of one class. 0: in no range. */
struct port_classes {
	__u16 of_port[65536];
};

struct steered_count {
	__u64 steered;
	__u64 no_socket; /* refused: there is nobody to take it */
	__u64 failed; /* refused: the kernel would not give it to the socket */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct port_classes);
} classes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1); /* as the loader says */
	__type(key, struct place);
	__type(value, struct steering);
} places SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, 1); /* as the loader says */
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

/* Shared by all tables that follow each other, so that the counts go on. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct destination);
	__type(value, struct steered_count);
} steered SEC(".maps");

/* Written by eight bytes: without CAP_PERFMON Linux 6.1 takes nothing less. */
static __always_inline struct address local_address(const struct bpf_sk_lookup *ctx)
{
	if (ctx->family == AF_INET) {
		struct address a = {.halves = {0, (__u64)ctx->local_ip4 << 32 | 0xFFFF0000}};
		return a;
	}
	struct address a = {.halves = {
		(__u64)ctx->local_ip6[1] << 32 | ctx->local_ip6[0],
		(__u64)ctx->local_ip6[3] << 32 | ctx->local_ip6[2],
	}};
	return a;
}

SEC("sk_lookup")
int sallyport_steer(struct bpf_sk_lookup *ctx)
{
	if (ctx->protocol != IPPROTO_TCP)
		return SK_PASS;
	__u64 zero = 0; /* the lower half is the key */
	struct port_classes *known = bpf_map_lookup_elem(&classes, &zero);
	if (!known)
		return SK_PASS;
	__u64 class = known->of_port[ctx->local_port & 0xFFFF];
	if (!class)
		return SK_PASS;
	__u64 family = ctx->family == AF_INET ? IPV4 : IPV6;
	struct place place = {
		.head = family | class << 32 | PLACE_BITS,
		.address = local_address(ctx),
	};
	struct steering *to = bpf_map_lookup_elem(&places, &place);
	if (!to)
		return SK_PASS;
	struct steered_count *count = bpf_map_lookup_elem(&steered, &to->destination);

	/* From here on it is ours. To pass it on would be to give it to whoever
	 * else listens, who may let in anybody. */
	__u32 slot = to->socket;
	struct bpf_sock *sk = bpf_socket_lookup_elem(&sockets, &slot);
	if (!sk) {
		if (count)
			count->no_socket++;
		return SK_DROP;
	}
	long failed = bpf_sk_assign(ctx, sk, BPF_SK_LOOKUP_F_NO_REUSEPORT);
	bpf_sk_release(sk);
	if (failed) {
		if (count)
			count->failed++;
		return SK_DROP;
	}
	if (count)
		count->steered++;
	return SK_PASS;
}
