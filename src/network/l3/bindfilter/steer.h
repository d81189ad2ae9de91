/* SPDX-License-Identifier: MIT OR GPL-2.0-only */

/* Whose socket is it: known from its creation on. */
PROGRAM(job_socket)(struct bpf_sock *ctx)
{
	struct caller c = find_caller();
	if (c.job)
		storage(&sockets, ctx, &c.id, BPF_SK_STORAGE_GET_F_CREATE);
	return 1;
}

/* Every listening TCP socket of a job is kept by its address, also one that a restore puts back. */
PROGRAM(job_listen)(struct bpf_sock_ops *ctx)
{
	if (ctx->op != BPF_SOCK_OPS_TCP_LISTEN_CB)
		return 1;
	struct bpf_sock *sk = ctx->sk;
	if (!sk)
		return 1;
	__u64 *id = storage(&sockets, sk, 0, 0);
	if (!id)
		return 1;
	struct job *job = map_lookup(&jobs, id);
	if (!job)
		return 1;
	struct listener key = { local_of(sk), (__u16)ctx->local_port, 0 };
	/* listen() without bind(): the kernel chose a port, and the address is the wildcard. */
	if (is_any(&key.address))
		key.address = job->count4 ? job->own4[0] : job->own6[0];
#pragma unroll
	for (int slot = 0; slot < SLOTS_MAX; slot++) {
		key.slot = slot;
		if (remember(ctx, &listeners, &key, BPF_NOEXIST) == 0)
			return 1;
	}
	return 1;
}

/* True when a listener is there; it is given the packet if `choose`, and if it takes the family. */
inline_ int try_listener(struct bpf_sk_lookup *ctx, const struct address *a, int choose)
{
	struct listener key = { *a, (__u16)ctx->local_port, 0 };
#pragma unroll
	for (int slot = 0; slot < SLOTS_MAX; slot++) {
		key.slot = slot;
		struct bpf_sock *sk = map_lookup(&listeners, &key);
		if (!sk)
			continue;
		/* The kernel refuses an IPv4 socket for IPv6 and an IPv6-only socket for IPv4. */
		long error = choose ? assign(ctx, sk, 0) : 0;
		release(sk);
		if (!error)
			return 1;
	}
	return 0;
}

/* What learn() has found for an address; its own lookups come from nowhere and are not steered. */
inline_ void steer_datagram(struct bpf_sk_lookup *ctx, const struct address *to)
{
	if (ctx->protocol != IPPROTO_UDP || (__u16)LOAD(ctx, remote_port) == 0)
		return;
	struct listener key = { *to, (__u16)ctx->local_port, SLOT_UDP };
	struct bpf_sock *sk = map_lookup(&listeners, &key);
	if (!sk)
		return;
	assign(ctx, sk, 0);
	release(sk);
}

/*
 * A packet looks for a listener. A socket can be bound to one address only, and one that a program
 * bound to the wildcard sits on the job's primary address: IPv4's for a dual-stack socket, because
 * the kernel makes a socket that is bound to an IPv6 address IPv6-only (net/ipv6/af_inet6.c). So a
 * packet to another address of the job, its loopback included, is brought there, unless a socket
 * listens at exactly that address. TCP has a hook from which sockets can be kept, job_listen;
 * UDP has none, and learn() goes and looks for them.
 */
PROGRAM(steer)(struct bpf_sk_lookup *ctx)
{
	int v6 = LOAD(ctx, family) == AF_INET6;
	struct address to = mapped(LOAD(ctx, local_ip4));
	if (v6)
		to = LOAD_ADDRESS(ctx, local_ip6);
	struct owner *owner = map_lookup(&addresses, &to);
	if (!owner)
		return SK_PASS;
	/* What comes in by a cable is never loopback. 1 is `lo`, 0 is a lookup of resolve(). */
	if (owner->loopback && ctx->ingress_ifindex > 1)
		return SK_DROP;
	if (ctx->protocol != IPPROTO_TCP) {
		steer_datagram(ctx, &to);
		return SK_PASS;
	}
	struct job *job = map_lookup(&jobs, &owner->job);
	if (!job || try_listener(ctx, &to, 0))
		return SK_PASS;
	struct address own6 = job->own6[0];
	if (v6 && job->count6 && !is_same(&to, &own6) && try_listener(ctx, &own6, 1))
		return SK_PASS;
	struct address own4 = job->own4[0];
	if (job->count4 && !is_same(&to, &own4))
		try_listener(ctx, &own4, 1);
	return SK_PASS;
}
