/* SPDX-License-Identifier: MIT OR GPL-2.0-only */

#define CURRENT_NETNS ((__u64)BPF_F_CURRENT_NETNS)
#define START_OF_NETWORK_HEADER 1
/* TCX_NEXT: whatever else is attached to the device has its turn. */
#define GO_ON -1

/* The socket that is bound to a:port, not connected, and to this very address; release it. */
inline_ struct bpf_sock *bound_to(struct __sk_buff *skb, const struct address *a, __u16 port)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	/* From 0.0.0.0:0 no socket is connected to, and steer() knows it for ours. */
	if (is_v4(a)) {
		tuple.ipv4.daddr = a->w[3];
		tuple.ipv4.dport = port;
		sk = lookup_udp(skb, &tuple, sizeof(tuple.ipv4), CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(tuple.ipv6.daddr, a, sizeof(*a));
		tuple.ipv6.dport = port;
		sk = lookup_udp(skb, &tuple, sizeof(tuple.ipv6), CURRENT_NETNS, 0);
	}
	if (!sk)
		return 0;
	struct address local = local_of(sk);
	if (is_same(&local, a))
		return sk;
	release(sk);
	return 0;
}

/*
 * A datagram has come for `to`. If nobody is bound to this address, it is for the socket that was
 * bound to the wildcard, and so sits on the primary address: IPv4's for a dual-stack one.
 */
inline_ void learn_socket(struct __sk_buff *skb, const struct address *to, __u16 port)
{
	struct owner *owner = map_lookup(&addresses, to);
	if (!owner || owner->loopback)
		return;
	struct job *job = map_lookup(&jobs, &owner->job);
	if (!job)
		return;
	int v4 = is_v4(to);
	struct address own4 = job->own4[0], own6 = job->own6[0];
	if (v4 && is_same(to, &own4))
		return;
	struct listener key = { *to, PORT(port), SLOT_UDP };
	struct bpf_sock *sk = bound_to(skb, to, port);
	if (sk) {
		release(sk);
		map_delete(&listeners, &key);
		return;
	}
	sk = map_lookup(&listeners, &key);
	if (sk) {
		release(sk);
		return;
	}
	if (!v4 && !is_same(to, &own6)) {
		sk = bound_to(skb, &own6, port);
		if (sk) {
			map_update(&listeners, &key, sk, BPF_ANY);
			release(sk);
			return;
		}
	}
	if (!job->count4)
		return;
	sk = bound_to(skb, &own4, port);
	if (!sk)
		return;
	if (v4 || LOAD(sk, family) == AF_INET6)
		map_update(&listeners, &key, sk, BPF_ANY);
	release(sk);
}

/*
 * Runs for what comes in by a device with addresses of jobs, and keeps for steer() which UDP socket
 * shall have it: a packet scheduler's program may look for sockets and keep them (verifier.c,
 * may_update_sockmap), and steer() may not. It does not give the packet to the socket itself
 * (bpf_sk_assign): what is held during a move would then outlive the socket.
 */
PROGRAM(learn)(struct __sk_buff *skb)
{
	struct {
		__u8 head[6], protocol, hops, rest[32];
	} six;
	struct {
		__u8 version, tos, length[2], id[2], fragment[2], ttl, protocol, rest[6];
		__u32 to;
	} four;
	__u16 ports[2];
	__u32 offset;
	struct address to;
	if (skb->protocol == PORT(ETH_P_IP)) {
		if (load_from(skb, 0, &four, sizeof(four), START_OF_NETWORK_HEADER))
			return GO_ON;
		/* The later parts of a datagram have no ports; it is put together before it is steered. */
		if (four.protocol != IPPROTO_UDP || (four.fragment[0] & 0x1f) || four.fragment[1])
			return GO_ON;
		to = mapped(four.to);
		offset = (four.version & 0xf) * 4;
	} else if (skb->protocol == PORT(ETH_P_IPV6)) {
		if (load_from(skb, 0, &six, sizeof(six), START_OF_NETWORK_HEADER))
			return GO_ON;
		if (six.protocol != IPPROTO_UDP)
			return GO_ON;
		__builtin_memcpy(&to, six.rest + 16, sizeof(to));
		offset = sizeof(six);
	} else {
		return GO_ON;
	}
	if (load_from(skb, offset, ports, sizeof(ports), START_OF_NETWORK_HEADER))
		return GO_ON;
	learn_socket(skb, &to, ports[1]);
	return GO_ON;
}
