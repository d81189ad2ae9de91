/* SPDX-License-Identifier: MIT OR GPL-2.0-only */

enum taker {
	NOBODY,
	OURS,
	FOREIGN
};

/* Whose socket would take a packet from -> to. Ports in network order. */
inline_ enum taker who_takes(struct bpf_sock_addr *ctx, const struct caller *c,
			     const struct address *from, __u16 from_port,
			     const struct address *to, __u16 to_port)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	if (is_v4(to)) {
		tuple.ipv4.saddr = from->w[3];
		tuple.ipv4.daddr = to->w[3];
		tuple.ipv4.sport = from_port;
		tuple.ipv4.dport = to_port;
		if (ctx->type == SOCK_STREAM)
			sk = lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
		else
			sk = lookup_udp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, from, sizeof(*from));
		__builtin_memcpy(tuple.ipv6.daddr, to, sizeof(*to));
		tuple.ipv6.sport = from_port;
		tuple.ipv6.dport = to_port;
		if (ctx->type == SOCK_STREAM)
			sk = lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
		else
			sk = lookup_udp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!sk)
		return NOBODY;
	__u64 *job = storage(&sockets, sk, 0, 0);
	int ours = job && *job == c->id;
	release(sk);
	return ours ? OURS : FOREIGN;
}

/* A datagram to ::1 can be for a dual-stack socket on our IPv4 address: learn() brings it there. */
inline_ int takes_both_families(struct bpf_sock_addr *ctx, const struct caller *c, __u16 port)
{
	struct bpf_sock_tuple tuple = {};
	tuple.ipv4.daddr = c->job->own4[0].w[3];
	tuple.ipv4.dport = port;
	struct bpf_sock *sk =
		lookup_udp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	__u64 *job = storage(&sockets, sk, 0, 0);
	int ours = job && *job == c->id && LOAD(sk, family) == AF_INET6;
	release(sk);
	return ours;
}

/*
 * Where a packet to 127.0.0.1 or ::1 goes: to the private loopback address if a socket of the job
 * waits there, else to the job's own address, where a socket sits that was bound to the wildcard.
 * A wildcard socket of the host would take what nobody of the job waits for; it must not get it.
 *
 * `from` is where the packet leaves from: the private loopback address unless `fixed`, that is,
 * unless a bound socket connects. Both addresses may change. Returns an error number or 0.
 */
inline_ int resolve(struct bpf_sock_addr *ctx, const struct caller *c, struct address *from,
		    int fixed, struct address *to)
{
	int v4 = is_v4(to);
	struct address loopback = loopback_of(c, v4);
	int is_stream = ctx->type == SOCK_STREAM;
	__u16 to_port = (__u16)ctx->user_port;
	/* A TCP client's port is not chosen yet, and only listeners are looked for. */
	__u16 from_port = is_stream ? 0 : PORT(ctx->sk->src_port);
	if (!fixed)
		*from = loopback;
	*to = loopback;
	enum taker taker = who_takes(ctx, c, from, from_port, to, to_port);
	if (taker == OURS)
		return 0;
	if (has_family(c, v4)) {
		struct address primary = primary_of(c, v4);
		/* A client that is connected to our own address waits for answers from there. */
		if (!fixed && !is_stream &&
		    who_takes(ctx, c, &primary, from_port, to, to_port) == OURS) {
			*from = primary;
			return 0;
		}
		if (who_takes(ctx, c, from, from_port, &primary, to_port) == OURS) {
			*to = primary;
			return 0;
		}
		if (!v4 && !is_stream && c->job->count4 && takes_both_families(ctx, c, to_port)) {
			*to = primary;
			return 0;
		}
	}
	return taker == FOREIGN ? ECONNREFUSED : 0;
}
