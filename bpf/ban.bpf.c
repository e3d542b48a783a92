//go:build ignore

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */

/* Drops what banned addresses send to the listeners, before the kernel spends
 * a socket buffer on it. User space decides who is banned and until when; here
 * is only the asking. Times are nanoseconds of CLOCK_BOOTTIME, which goes on
 * while the machine is suspended. */

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

/* A listener. The address is :: for any IPv6 and ::ffff:0.0.0.0 for any IPv4. */
struct endpoint {
	struct address address;
	__u32 port; /* in host byte order */
	__u32 zero;
};

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
	__u16 told; /* second of the last event, as far as it fits */
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
	__u64 second;
	__u64 told;
	__u64 lost;
};

#define EVENTS_PER_SECOND 256 /* on each CPU: more is a flood, and the counters tell of that */
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

static __always_inline bool in_scope(const struct packet *p)
{
	struct endpoint any = {.port = p->port};
	struct endpoint exact = {.address = p->to, .port = p->port};
	if (p->ipv4)
		any.address = mapped(0);
	return bpf_map_lookup_elem(&scope, &any) || bpf_map_lookup_elem(&scope, &exact);
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
	__u64 second = now / 1000000000;
	if (t->second != second) {
		t->second = second;
		t->told = 0;
	}
	if (t->told >= EVENTS_PER_SECOND) {
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
	__u16 second = now / 1000000000;
	if (ban->told != second) {
		ban->told = second;
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
			*now = bpf_ktime_get_boot_ns();
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
 * limit. The clock is read only when there is a time to compare it with. */
static __always_inline enum verdict judge(const struct packet *p, enum mode mode)
{
	struct network from = {.head = NETWORK_BITS | (p->ipv4 ? IPV4 : IPV6), .address = p->from};
	struct address host = host_of(p);
	bool expired = false;
	enum verdict verdict;
	struct ban *ban;
	__u64 now = 0;

	if (!in_scope(p))
		return PASS_OUT_OF_SCOPE;
	if (bpf_map_lookup_elem(&exempt, &from))
		return PASS_EXEMPT;

	ban = bpf_map_lookup_elem(&hosts, &host);
	if (ban) {
		now = bpf_ktime_get_boot_ns();
		if (now < ban->until) {
			verdict = under(mode, DROP_HOST);
			meet(p, ban, verdict, now);
			return verdict;
		}
		expired = true;
	}
	ban = network_ban(from, &now, &expired);
	if (ban) {
		verdict = under(mode, DROP_NETWORK);
		meet(p, ban, verdict, now);
		return verdict;
	}

	if (syn_interval && p->syn) {
		if (!now)
			now = bpf_ktime_get_boot_ns();
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
			verdict = judge(&p, mode);
	}
	count(verdict, p.bytes);
	return verdict >= DROP_HOST && verdict <= DROP_SYN_LIMIT ? XDP_DROP : XDP_PASS;
}
