/* SPDX-License-Identifier: MIT OR GPL-2.0-only */

/* True when the address is a job's private loopback and the caller is not in that job. */
inline_ int is_foreign_loopback(struct bpf_sock_addr *ctx, const struct address *a)
{
	int candidate = is_v4(a) ? (a->w[3] & 0xff) == 127 : (a->w[0] & 0xff) == 0xfd;
	if (!candidate)
		return 0;
	struct owner *owner = map_lookup(&addresses, a);
	if (!owner || !owner->loopback || is_elsewhere(ctx))
		return 0;
#pragma unroll
	for (int level = 1; level <= LEVELS_MAX; level++) {
		__u64 id = ancestor(level);
		if (id == owner->job)
			return 0;
		if (id == 0)
			return 1;
	}
	return 1;
}

inline_ int guard4(struct bpf_sock_addr *ctx, int error)
{
	struct address a = mapped(ctx->user_ip4);
	return is_foreign_loopback(ctx, &a) ? refuse(error) : 1;
}

inline_ int guard6(struct bpf_sock_addr *ctx, int error)
{
	struct address a = read6(ctx);
	return is_foreign_loopback(ctx, &a) ? refuse(error) : 1;
}

PROGRAM(guard_bind4)(struct bpf_sock_addr *ctx)
{
	return guard4(ctx, EADDRNOTAVAIL);
}

PROGRAM(guard_bind6)(struct bpf_sock_addr *ctx)
{
	return guard6(ctx, EADDRNOTAVAIL);
}

PROGRAM(guard_connect4)(struct bpf_sock_addr *ctx)
{
	return guard4(ctx, ECONNREFUSED);
}

PROGRAM(guard_connect6)(struct bpf_sock_addr *ctx)
{
	return guard6(ctx, ECONNREFUSED);
}

PROGRAM(guard_send4)(struct bpf_sock_addr *ctx)
{
	struct address from = mapped(ctx->msg_src_ip4);
	if (is_foreign_loopback(ctx, &from))
		return refuse(EADDRNOTAVAIL);
	return guard4(ctx, ECONNREFUSED);
}

PROGRAM(guard_send6)(struct bpf_sock_addr *ctx)
{
	struct address from = LOAD_ADDRESS(ctx, msg_src_ip6);
	if (is_foreign_loopback(ctx, &from))
		return refuse(EADDRNOTAVAIL);
	return guard6(ctx, ECONNREFUSED);
}
