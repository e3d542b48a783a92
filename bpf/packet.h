/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */

/* Reads the headers of a frame, outermost first: one function per header, each
 * of which moves the cursor past what it has read. Every loop is bounded, and
 * unrolled: Linux 6.1 follows a loop past its bound, as a processor might, when
 * the program is loaded without CAP_PERFMON. What is not understood passes: the
 * kernel will drop it, or hand it to user space, which asks about bans again. */
#pragma once

#include "kernel.h"
#include "verdict.h"

#define MAX_VLAN_TAGS 4
#define MAX_EXTENSIONS 8

struct packet {
	struct address from;
	struct address to;
	__u32 bytes;
	__u32 interface;
	__u16 port; /* the destination's, in host byte order */
	bool ipv4;
	bool syn; /* asks for a connection: SYN without ACK, RST or FIN */
};

struct cursor {
	struct xdp_md *ctx;
	__u32 offset; /* of the next header */
};

/* Copies the next header, if all of it is there. */
static __always_inline bool peek(struct cursor *c, void *to, __u32 size)
{
	return bpf_xdp_load_bytes(c->ctx, c->offset, to, size) == 0;
}

static __always_inline struct address mapped(__be32 ipv4)
{
	struct address a = {.halves = {0, (__u64)ipv4 << 32 | 0xFFFF0000}};
	return a;
}

static __always_inline bool is_vlan(__be16 type)
{
	return type == htons(ETH_P_8021Q) || type == htons(ETH_P_8021AD);
}

static __always_inline enum verdict read_ethernet(struct cursor *c, __be16 *type)
{
	struct ethhdr eth;
	if (!peek(c, &eth, sizeof(eth)))
		return PASS_TRUNCATED;
	c->offset += sizeof(eth);
	*type = eth.type;
	return PASS;
}

static __always_inline enum verdict read_vlan_tags(struct cursor *c, __be16 *type)
{
#pragma unroll
	for (int i = 0; i < MAX_VLAN_TAGS && is_vlan(*type); i++) {
		struct vlanhdr vlan;
		if (!peek(c, &vlan, sizeof(vlan)))
			return PASS_TRUNCATED;
		c->offset += sizeof(vlan);
		*type = vlan.type;
	}
	return is_vlan(*type) ? PASS_TOO_MANY_TAGS : PASS;
}

/* The lengths that IP headers state are not looked at. Where they are shorter
 * than the frame, what is read here may be padding, but then the packet has no
 * whole TCP header and no listener ever sees it. */
static __always_inline enum verdict read_ipv4(struct cursor *c, struct packet *p)
{
	struct iphdr ip;
	if (!peek(c, &ip, sizeof(ip)))
		return PASS_TRUNCATED;
	if (ip.version != 4 || ip.ihl < 5)
		return PASS_MALFORMED;
	c->offset += ip.ihl * 4;
	p->ipv4 = true;
	p->from = mapped(ip.saddr);
	p->to = mapped(ip.daddr);
	if (ip.protocol != IPPROTO_TCP)
		return PASS_NOT_TCP;
	/* Only the first fragment has ports. Dropping that one is enough: without
	 * it the others are never put together. */
	if (ip.frag_off & htons(IP_OFFSET))
		return PASS_LATER_FRAGMENT;
	return PASS;
}

static __always_inline bool is_extension(__u8 header)
{
	return header == IPPROTO_HOPOPTS || header == IPPROTO_ROUTING || header == IPPROTO_FRAGMENT ||
	       header == IPPROTO_AH || header == IPPROTO_DSTOPTS;
}

/* RFC 8200 section 4. An encrypted or unknown header ends the walk. */
static __always_inline enum verdict read_extensions(struct cursor *c, __u8 header)
{
#pragma unroll
	for (int i = 0; i < MAX_EXTENSIONS && is_extension(header); i++) {
		struct ipv6_extension extension;
		if (!peek(c, &extension, sizeof(extension)))
			return PASS_TRUNCATED;
		if (header == IPPROTO_FRAGMENT) {
			if (extension.frag_off & htons(IPV6_OFFSET))
				return PASS_LATER_FRAGMENT;
			c->offset += 8;
		} else if (header == IPPROTO_AH) {
			c->offset += (extension.hdrlen + 2) * 4;
		} else {
			c->offset += (extension.hdrlen + 1) * 8;
		}
		header = extension.nexthdr;
	}
	if (is_extension(header))
		return PASS_TOO_MANY_EXTENSIONS;
	return header == IPPROTO_TCP ? PASS : PASS_NOT_TCP;
}

static __always_inline enum verdict read_ipv6(struct cursor *c, struct packet *p)
{
	struct ipv6hdr ip;
	if (!peek(c, &ip, sizeof(ip)))
		return PASS_TRUNCATED;
	if (ip.version != 6)
		return PASS_MALFORMED;
	c->offset += sizeof(ip);
	p->from = ip.saddr;
	p->to = ip.daddr;
	return read_extensions(c, ip.nexthdr);
}

static __always_inline void read_ports_and_flags(struct packet *p, const struct tcphdr *tcp)
{
	p->port = ntohs(tcp->ports.destination);
	p->syn = (tcp->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

/* The ports are enough to judge by, and every first fragment has them. The
 * flags may be missing from a tiny one (RFC 1858 section 3); then it is not
 * taken for a SYN. */
static __always_inline enum verdict read_tcp(struct cursor *c, struct packet *p)
{
	struct tcphdr tcp = {};
	if (!peek(c, &tcp, sizeof(tcp)) && !peek(c, &tcp.ports, sizeof(tcp.ports)))
		return PASS_TRUNCATED;
	read_ports_and_flags(p, &tcp);
	return PASS;
}

/* Reads any frame, one header after the other. The headers are copied, by a
 * helper: without CAP_PERFMON, which we do not ask for, the kernel lets no
 * program add to a packet's address what it has read from the packet. Large
 * frames, which are in several buffers, are read like any other. */
static __always_inline enum verdict read_headers(struct xdp_md *ctx, struct packet *p)
{
	struct cursor c = {.ctx = ctx};
	enum verdict verdict;
	__be16 type = 0;

	verdict = read_ethernet(&c, &type);
	if (verdict != PASS)
		return verdict;
	verdict = read_vlan_tags(&c, &type);
	if (verdict != PASS)
		return verdict;
	if (type == htons(ETH_P_IP))
		verdict = read_ipv4(&c, p);
	else if (type == htons(ETH_P_IPV6))
		verdict = read_ipv6(&c, p);
	else
		return PASS_NOT_IP;
	if (verdict != PASS)
		return verdict;
	return read_tcp(&c, p);
}

/* Reads what nearly every frame is, TCP without tags, options, extensions or
 * fragments, in place: the helper's copying costs about as much as all the
 * maps. Says nothing of any other frame. */
static __always_inline bool read_plain(struct xdp_md *ctx, struct packet *p)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ipv4 = (void *)(eth + 1);
	struct ipv6hdr *ipv6 = (void *)(eth + 1);
	struct tcphdr *tcp;

	if ((void *)(ipv4 + 1) > end)
		return false;
	if (eth->type == htons(ETH_P_IP)) {
		tcp = (void *)(ipv4 + 1);
		if ((void *)(tcp + 1) > end || ipv4->version != 4 || ipv4->ihl != 5 ||
		    ipv4->protocol != IPPROTO_TCP || ipv4->frag_off & htons(IP_OFFSET))
			return false;
		p->ipv4 = true;
		p->from = mapped(ipv4->saddr);
		p->to = mapped(ipv4->daddr);
		read_ports_and_flags(p, tcp);
		return true;
	}
	tcp = (void *)(ipv6 + 1);
	if (eth->type != htons(ETH_P_IPV6) || (void *)(tcp + 1) > end || ipv6->version != 6 ||
	    ipv6->nexthdr != IPPROTO_TCP)
		return false;
	p->from = ipv6->saddr;
	p->to = ipv6->daddr;
	read_ports_and_flags(p, tcp);
	return true;
}

/* Returns PASS when p holds a TCP packet to judge, and otherwise why not. */
static __always_inline enum verdict read_packet(struct xdp_md *ctx, struct packet *p)
{
	return read_plain(ctx, p) ? PASS : read_headers(ctx, p);
}
