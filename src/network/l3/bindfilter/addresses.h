/* SPDX-License-Identifier: MIT OR GPL-2.0-only */

inline_ struct address mapped(__u32 ip4)
{
	return (struct address){ { 0, 0, WORD(0, 0, 0xff, 0xff), ip4 } };
}

inline_ int is_v4(const struct address *a)
{
	return a->w[0] == 0 && a->w[1] == 0 && a->w[2] == WORD(0, 0, 0xff, 0xff);
}

inline_ int is_same(const struct address *a, const struct address *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2] &&
	       a->w[3] == b->w[3];
}

inline_ int is_any(const struct address *a)
{
	return a->w[0] == 0 && a->w[1] == 0 && a->w[3] == 0 &&
	       (a->w[2] == 0 || a->w[2] == WORD(0, 0, 0xff, 0xff));
}

inline_ int is_loopback(const struct address *a)
{
	if (is_v4(a))
		return (a->w[3] & 0xff) == 127;
	return a->w[0] == 0 && a->w[1] == 0 && a->w[2] == 0 && a->w[3] == WORD(0, 0, 0, 1);
}

inline_ int is_multicast(const struct address *a)
{
	if (is_v4(a))
		return (a->w[3] & 0xf0) == 0xe0;
	return (a->w[0] & 0xff) == 0xff;
}

/* What the program sees in place of its private loopback address. */
inline_ struct address public_loopback(int v4)
{
	if (v4)
		return mapped(WORD(127, 0, 0, 1));
	return (struct address){ { 0, 0, 0, WORD(0, 0, 0, 1) } };
}

inline_ struct address read6(struct bpf_sock_addr *ctx)
{
	return LOAD_ADDRESS(ctx, user_ip6);
}

inline_ void write6(struct bpf_sock_addr *ctx, const struct address *a)
{
	ctx->user_ip6[0] = a->w[0];
	ctx->user_ip6[1] = a->w[1];
	ctx->user_ip6[2] = a->w[2];
	ctx->user_ip6[3] = a->w[3];
}

/* The address that a socket is bound to; the wildcard if it is not. */
inline_ struct address local_of(struct bpf_sock *sk)
{
	if (LOAD(sk, family) == AF_INET)
		return mapped(LOAD(sk, src_ip4));
	return LOAD_ADDRESS(sk, src_ip6);
}

inline_ struct address remote_of(struct bpf_sock *sk)
{
	if (LOAD(sk, family) == AF_INET)
		return mapped(LOAD(sk, dst_ip4));
	return LOAD_ADDRESS(sk, dst_ip6);
}
