/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#pragma once

/* What became of a packet and why. Each is counted; the order is that of the
 * counters, so it is part of the layout of the pinned maps. */
enum verdict {
	PASS, /* judged, and nothing against it */
	PASS_OFF, /* not looked at */
	PASS_TRUNCATED, /* ends within a header */
	PASS_MALFORMED, /* version or length of an IP header cannot be */
	PASS_TOO_MANY_TAGS, /* of VLANs */
	PASS_NOT_IP,
	PASS_NOT_TCP,
	PASS_LATER_FRAGMENT,
	PASS_TOO_MANY_EXTENSIONS, /* of IPv6 */
	PASS_OUT_OF_SCOPE, /* to no listener */
	PASS_FORWARDED, /* to another machine, past a listener on any address */
	PASS_EXEMPT,
	PASS_EXPIRED, /* the ban that it met is over */

	DROP_HOST, /* the source is banned */
	DROP_NETWORK, /* the source's network is banned */
	DROP_SYN_LIMIT,

	/* In dry run, in the order of the drops: what would have become of it. */
	WOULD_DROP_HOST,
	WOULD_DROP_NETWORK,
	WOULD_DROP_SYN_LIMIT,

	VERDICTS,
};
