//go:build ignore

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */

/* Drops what banned addresses send to the listeners, before the kernel spends
 * a socket buffer on it. User space decides who is banned and until when; here
 * is only the asking. Times are nanoseconds of CLOCK_MONOTONIC. A ban's end is
 * compared with its coarse reading, which is some milliseconds behind and costs
 * a third: reading the processor's counter is what it leaves out. */

#include "kernel.h"
#include "packet.h"
#include "verdict.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before loading, fixed from then on. */
volatile const __u64 host_mask[2]; /* the part of an IPv6 source that is banned as one host */
volatile const __u64 syn_interval; /* between two SYNs of one source in the long run; 0: no limit */
volatile const __u64 syn_tolerance; /* how far ahead of that a source may be */
volatile const __u64 syn_seed[2];
volatile const __u32 syn_slot_mask;

/* ENFORCE is what a new map says: nobody has to remember to switch it on. */
enum mode { ENFORCE, DRY_RUN, OFF };

struct setting {
	enum mode mode;
};

/* A listener. The address is :: for any IPv6 and ::ffff:0.0.0.0 for any IPv4;
 * the program finds those in struct listeners. */
struct endpoint {
	struct address address;
	__u32 port; /* in host byte order */
	__u32 zero;
};

/* What there is of listeners on 64 ports of a family, a bit for each port: on any
 * address, or on one, which the scope knows. Most packets need no more than this:
 * what is to no listener's port passes, at the cost of one array, and mostly all
 * listeners are on the same address, so that the scope need not be asked. */
struct listeners {
	__u64 any;
	__u64 exact;
	__u64 of_one; /* of exact, those on the address that follows */
	struct address one;
};

#define PORTS_PER_WORD 64
#define PORT_WORDS (65536 / PORTS_PER_WORD) /* for IPv4, then as many for IPv6 */

/* Which first bytes the addresses of exempt networks have: 256 bits for IPv4,
 * then 256 for IPv6. Hardly any source shares its first byte with an exempt
 * network, and needs to be looked for in the trie. */
#define FIRST_BYTE_WORDS 8

/* A prefix, as the kernel's tries have it: how many bits count, and the bits,
 * of which the family comes first, so that ::/0 does not contain the IPv4
 * addresses. Both are one number here, since Linux 6.1 lets a program without
 * CAP_PERFMON write known values to its stack by eight bytes only. */
struct network {
	__u64 head; /* how many bits, of family and address; in the upper half the family */
	struct address address;
};

#define IPV4 (4ULL << 32)
#define IPV6 (6ULL << 32)
#define NETWORK_BITS (8 * (sizeof(struct network) - sizeof(__u32)))

/* 32 bytes: with key and the kernel's own part an entry is 96, one of its sizes
 * of allocation. */
struct ban {
	__u64 until;
	__u64 packets; /* that met the ban, and their bytes */
	__u64 bytes;
	__u32 since; /* Unix seconds; for user space */
	__u16 told; /* when the last event was, in the unit of TELLING_SHIFT, as far as it fits */
	__u8 reason; /* for user space */
	__u8 bits; /* of the key, if that is a network */
};

struct count {
	__u64 packets;
	__u64 bytes;
};

struct event {
	__u64 time;
	struct address from;
	struct address to;
	__u32 interface;
	__u32 bytes;
	enum verdict verdict;
	__u16 port;
	__u8 reason; /* of the ban */
	__u8 zero;
};

/* A CPU's allowance of events, and what went over it or over the ring. */
struct telling {
	__u64 period;
	__u64 told;
	__u64 lost;
};

#define TELLING_SHIFT 30 /* 1.07 s: a shift, as a division by a billion shows in the cost of a packet */
#define EVENTS_PER_PERIOD 256 /* on each CPU: more is a flood, and the counters tell of that */
#define SYN_EVENTS 1024 /* of so many SYNs over the limit one is told of */

/* The sizes of these are what the loader says. No entry is ever evicted: an LRU
 * would lift the bans of some to make room for others, silently. Without
 * preallocation a million bans take as much memory as with it, but none take
 * none; nothing is inserted from here, so nothing here allocates. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct address);
	__type(value, struct ban);
} hosts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct network);
	__type(value, struct ban);
} networks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct network);
	__type(value, __u32);
} exempt SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct endpoint);
	__type(value, __u32);
} scope SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * PORT_WORDS);
	__type(key, __u32);
	__type(value, struct listeners);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FIRST_BYTE_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} exempt_bytes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct setting);
} settings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VERDICTS);
	__type(key, __u32);
	__type(value, struct count);
} counts SEC(".maps");

/* When the next SYN of a source is due. Sources share slots: a table of sources
 * would be what a flood of made-up ones fills, and making room in it would cost
 * more than the SYNs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} syn_slots SEC(".maps");

/* The type of its records is said here for Go; the loader takes it off, since
 * the kernel wants none. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 262144);
	__type(value, struct event);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct telling);
} tellings SEC(".maps");

static __always_inline enum mode current_mode(void)
{
	__u32 zero = 0;
	struct setting *s = bpf_map_lookup_elem(&settings, &zero);
	return s ? s->mode : OFF;
}

/* How a packet is a listener's. */
enum reach { NOT, BY_PORT, BY_ADDRESS };

static __always_inline enum reach in_scope(const struct packet *p)
{
	__u32 word = p->port / PORTS_PER_WORD + (p->ipv4 ? 0 : PORT_WORDS);
	__u64 bit = 1ULL << (p->port % PORTS_PER_WORD);
	struct listeners *there = bpf_map_lookup_elem(&ports, &word);
	if (!there)
		return NOT;
	if (there->of_one & bit && there->one.halves[0] == p->to.halves[0] && there->one.halves[1] == p->to.halves[1])
		return BY_ADDRESS;
	if (there->exact & bit) {
		struct endpoint exact = {.address = p->to, .port = p->port};
		if (bpf_map_lookup_elem(&scope, &exact))
			return BY_ADDRESS;
	}
	return there->any & bit ? BY_PORT : NOT;
}

/* Whether a packet is another machine's, that this one passes on: then it has
 * nothing to do with a listener on any address. Where the interface does not
 * forward, the kernel says so before it looks for a route. A bridge is no
 * route, so what that passes on cannot be told from what is ours. */
static __always_inline bool is_forwarded(struct xdp_md *ctx, const struct packet *p)
{
	struct bpf_fib_lookup route = {
		.l4_protocol = IPPROTO_TCP,
		.destination_port = htons(p->port),
		.ifindex = p->interface,
	};
	if (p->ipv4) {
		route.family = AF_INET;
		route.from.words[0] = p->from.words[3];
		route.to.words[0] = p->to.words[3];
	} else {
		route.family = AF_INET6;
		route.from = p->from;
		route.to = p->to;
	}
	long found = bpf_fib_lookup(ctx, &route, sizeof(route), 0);
	return found == BPF_FIB_LKUP_RET_SUCCESS || found == BPF_FIB_LKUP_RET_UNSUPP_LWT ||
	       found == BPF_FIB_LKUP_RET_NO_NEIGH || found == BPF_FIB_LKUP_RET_FRAG_NEEDED;
}

static __always_inline bool is_exempt(const struct packet *p, const struct network *from)
{
	__u8 first = p->ipv4 ? p->from.halves[1] >> 32 : p->from.halves[0];
	__u32 word = (p->ipv4 ? 0 : FIRST_BYTE_WORDS / 2) + first / 64;
	__u64 *bytes = bpf_map_lookup_elem(&exempt_bytes, &word);
	return bytes && *bytes & 1ULL << (first % 64) && bpf_map_lookup_elem(&exempt, from);
}

/* The source as bans of hosts and the SYN limit know it: whoever has an IPv6
 * address has the whole prefix. */
static __always_inline struct address host_of(const struct packet *p)
{
	struct address host = p->from;
	if (!p->ipv4) {
		host.halves[0] &= host_mask[0];
		host.halves[1] &= host_mask[1];
	}
	return host;
}

/* Tells user space of a packet that met its end, unless that has heard enough. */
static __always_inline void tell(const struct packet *p, enum verdict verdict, __u8 reason, __u64 now)
{
	__u32 zero = 0;
	struct telling *t = bpf_map_lookup_elem(&tellings, &zero);
	if (!t)
		return;
	__u64 period = now >> TELLING_SHIFT;
	if (t->period != period) {
		t->period = period;
		t->told = 0;
	}
	if (t->told >= EVENTS_PER_PERIOD) {
		t->lost++;
		return;
	}
	t->told++;
	struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		t->lost++;
		return;
	}
	e->time = now;
	e->from = p->from;
	e->to = p->to;
	e->interface = p->interface;
	e->bytes = p->bytes;
	e->port = p->port;
	e->verdict = verdict;
	e->reason = reason;
	e->zero = 0;
	bpf_ringbuf_submit(e, 0);
}

/* A drop under enforcement is a would-have-been in dry run. */
static __always_inline enum verdict under(enum mode mode, enum verdict drop)
{
	return mode == ENFORCE ? drop : drop + (WOULD_DROP_HOST - DROP_HOST);
}

/* Counts a packet at the ban that it met. One source's packets mostly come to
 * one CPU, so the atomic additions seldom wait for each other. */
static __always_inline void meet(const struct packet *p, struct ban *ban, enum verdict verdict, __u64 now)
{
	__sync_fetch_and_add(&ban->packets, 1);
	__sync_fetch_and_add(&ban->bytes, p->bytes);
	__u16 period = now >> TELLING_SHIFT;
	if (ban->told != period) {
		ban->told = period;
		tell(p, verdict, ban->reason, now);
	}
}

/* How many bans that are over and not yet removed may hide a longer lasting one
 * of a larger network. */
#define MAX_NESTED 8

/* The trie finds the smallest network that contains the source. If that ban is
 * over, the search goes on among the larger ones. */
static __always_inline struct ban *network_ban(struct network from, __u64 *now, bool *expired)
{
#pragma unroll
	for (int i = 0; i < MAX_NESTED; i++) {
		struct ban *ban = bpf_map_lookup_elem(&networks, &from);
		if (!ban)
			return 0;
		if (!*now)
			*now = bpf_ktime_get_coarse_ns();
		if (*now < ban->until)
			return ban;
		*expired = true;
		from.head = (from.head >> 32 << 32) | (ban->bits - 1);
	}
	return 0;
}

/* Keyed, so that nobody can tell which sources share a slot. It need not be
 * better than that: who can make up a source can make up the one to shut out. */
static __always_inline __u32 syn_slot(const struct address *host)
{
	__u64 h = (host->halves[0] ^ syn_seed[0]) * 0x9E3779B97F4A7C15;
	h = (h ^ (h >> 32) ^ host->halves[1] ^ syn_seed[1]) * 0xD6E8FEB86659FD93;
	h = (h ^ (h >> 32)) * 0xD6E8FEB86659FD93;
	return (h >> 32) & syn_slot_mask;
}

/* The generic cell rate algorithm: a slot holds when the next SYN would come if
 * they all came evenly. Two CPUs at one slot may let one too many through. */
static __always_inline bool over_syn_limit(const struct address *host, __u64 now)
{
	__u32 slot = syn_slot(host);
	__u64 *due = bpf_map_lookup_elem(&syn_slots, &slot);
	if (!due)
		return false;
	__u64 at = *due > now ? *due : now;
	if (at - now > syn_tolerance)
		return true;
	*due = at + syn_interval;
	return false;
}

static __always_inline void tell_of_syn(const struct packet *p, enum verdict verdict, __u64 now)
{
	__u32 key = verdict;
	struct count *c = bpf_map_lookup_elem(&counts, &key);
	if (c && c->packets % SYN_EVENTS == 0)
		tell(p, verdict, 0, now);
}

/* The order is the policy: nothing reaches who is exempt, a ban comes before a
 * limit. The clock is read only when there is a time to compare it with, and
 * where a packet goes is asked only of one that would be dropped. */
static __always_inline enum verdict judge(struct xdp_md *ctx, const struct packet *p, enum mode mode)
{
	struct network from = {.head = NETWORK_BITS | (p->ipv4 ? IPV4 : IPV6), .address = p->from};
	struct address host = host_of(p);
	enum reach reach = in_scope(p);
	enum verdict verdict = DROP_HOST;
	bool expired = false;
	struct ban *ban;
	__u64 now = 0;

	if (reach == NOT)
		return PASS_OUT_OF_SCOPE;
	if (is_exempt(p, &from))
		return PASS_EXEMPT;

	ban = bpf_map_lookup_elem(&hosts, &host);
	if (ban) {
		now = bpf_ktime_get_coarse_ns();
		if (now >= ban->until) {
			expired = true;
			ban = 0;
		}
	}
	if (!ban) {
		verdict = DROP_NETWORK;
		ban = network_ban(from, &now, &expired);
	}
	if (ban) {
		if (reach == BY_PORT && is_forwarded(ctx, p))
			return PASS_FORWARDED;
		verdict = under(mode, verdict);
		meet(p, ban, verdict, now);
		return verdict;
	}

	if (syn_interval && p->syn) {
		if (reach == BY_PORT && is_forwarded(ctx, p))
			return PASS_FORWARDED;
		now = bpf_ktime_get_ns();
		if (over_syn_limit(&host, now)) {
			verdict = under(mode, DROP_SYN_LIMIT);
			tell_of_syn(p, verdict, now);
			return verdict;
		}
	}
	return expired ? PASS_EXPIRED : PASS;
}

static __always_inline void count(enum verdict verdict, __u32 bytes)
{
	__u32 key = verdict;
	struct count *c = bpf_map_lookup_elem(&counts, &key);
	if (c) {
		c->packets++;
		c->bytes += bytes;
	}
}

SEC("xdp.frags")
int sallyport_ban(struct xdp_md *ctx)
{
	struct packet p = {.bytes = bpf_xdp_get_buff_len(ctx), .interface = ctx->ingress_ifindex};
	enum mode mode = current_mode();
	enum verdict verdict = PASS_OFF;

	if (mode == ENFORCE || mode == DRY_RUN) {
		verdict = read_packet(ctx, &p);
		if (verdict == PASS)
			verdict = judge(ctx, &p, mode);
	}
	count(verdict, p.bytes);
	return verdict >= DROP_HOST && verdict <= DROP_SYN_LIMIT ? XDP_DROP : XDP_PASS;
}
