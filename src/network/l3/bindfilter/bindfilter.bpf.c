/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The bind filter: what makes a job on its host's network stack see its own addresses only.
 *
 * job_*    run at the cgroup that is the parent of all jobs, in the task that calls.
 * guard_*  run at the root cgroup and keep everybody else out of the jobs' private loopback.
 * steer    runs in the host's network namespace when a packet looks for a listener.
 * learn    runs at devices with addresses of jobs, for every packet that comes in.
 *
 * Each is a section of its own, loaded and attached by src/network/l3/pinned-set.ts.
 */
#include "kernel.h"
#include "addresses.h"
#include "caller.h"
#include "loopback.h"
#include "guard.h"
#include "steer.h"
#include "learn.h"

char license_text[] SEC("license") = "Dual MIT/GPL";

/* ---- bind ---- */

/*
 * IPV6_V6ONLY of a socket. No helper tells it (bpf_getsockopt knows IPV6_TCLASS and
 * IPV6_AUTOFLOWLABEL only), so the bit is read where struct sock_common of include/net/sock.h has
 * had it since Linux 3.16: skc_ipv6only, bit 5 of byte 19. test/system/l3-filter.test.ts compares.
 */
inline_ int is_v6only(struct bpf_sock *sk)
{
	__u8 head[20];
	if (read_kernel(head, sizeof(head), sk))
		return 0;
	return head[19] >> 5 & 1;
}

inline_ int job_bind(struct bpf_sock_addr *ctx, const struct caller *c, struct address *a)
{
	int v4 = is_v4(a);
	/* job_socket() does not see the sockets that the kernel makes for one of MPTCP. */
	storage(&sockets, ctx->sk, (void *)&c->id, BPF_SK_STORAGE_GET_F_CREATE);
	if (is_any(a)) {
		/* steer() says why IPv4. */
		if (!v4 && has_family(c, 1) && !is_v6only(ctx->sk))
			v4 = 1;
		*a = has_family(c, v4) ? primary_of(c, v4) : loopback_of(c, v4);
		return 0;
	}
	if (is_own(c, a) || is_multicast(a) || is_broadcast(c, a))
		return 0;
	if (!is_loopback(a))
		return EADDRNOTAVAIL;
	*a = loopback_of(c, v4);
	return 0;
}

PROGRAM(job_bind4)(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller_here(ctx);
	if (!c.job || !ctx->sk)
		return 1;
	struct address a = mapped(ctx->user_ip4);
	int error = job_bind(ctx, &c, &a);
	if (error)
		return refuse(error);
	ctx->user_ip4 = a.w[3];
	return 1;
}

PROGRAM(job_bind6)(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller_here(ctx);
	if (!c.job || !ctx->sk)
		return 1;
	struct address a = read6(ctx);
	int error = job_bind(ctx, &c, &a);
	if (error)
		return refuse(error);
	write6(ctx, &a);
	return 1;
}

/* ---- connect ---- */

/* Gives a socket its source address; connect() then picks a port for this one destination. */
inline_ int leave_from(struct bpf_sock_addr *ctx, const struct address *a)
{
	long error;
	if (LOAD(ctx->sk, family) == AF_INET) {
		struct {
			__u16 family, port;
			__u32 ip;
			__u64 zero;
		} to = { AF_INET, 0, a->w[3], 0 };
		error = bind_socket(ctx, &to, sizeof(to));
	} else {
		struct {
			__u16 family, port;
			__u32 flow;
			struct address ip;
			__u32 scope;
		} to = { AF_INET6, 0, 0, *a, 0 };
		error = bind_socket(ctx, &to, sizeof(to));
	}
	/* It has a port but no address: it has sent before. The kernel would choose the host's. */
	return error ? EADDRNOTAVAIL : 0;
}

inline_ int job_connect(struct bpf_sock_addr *ctx, const struct caller *c, struct address *to)
{
	int v4 = is_v4(to);
	struct address loopback = loopback_of(c, v4);
	struct address local = local_of(ctx->sk);
	int bound = !is_any(&local);
	/* bind() was called; else the address is left from an earlier connect(). */
	int fixed = bound && ctx->sk->src_port != 0;
	/* Such an address is no source; the kernel would choose the host's. */
	if (fixed && (is_multicast(&local) || is_broadcast(c, &local)))
		return EADDRNOTAVAIL;
	if (fixed && !v4 && is_v4(&local))
		return ENETUNREACH;
	/* A program never sees the private address: who names it restores a connection. */
	int raw = is_same(to, &loopback);
	if (raw || is_loopback(to) || is_any(to)) {
		struct address from = fixed ? local : loopback;
		int error = raw ? 0 : resolve(ctx, c, &from, fixed, to);
		if (error || fixed || is_same(&local, &from))
			return error;
		return leave_from(ctx, &from);
	}
	if (fixed || (bound && is_v4(&local) == v4 && !is_same(&local, &loopback)))
		return 0;
	if (!has_family(c, v4))
		return ENETUNREACH;
	struct address primary = primary_of(c, v4);
	return leave_from(ctx, &primary);
}

PROGRAM(job_connect4)(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller_here(ctx);
	if (!c.job || !ctx->sk)
		return 1;
	struct address to = mapped(ctx->user_ip4);
	int error = job_connect(ctx, &c, &to);
	if (error)
		return refuse(error);
	ctx->user_ip4 = to.w[3];
	return 1;
}

PROGRAM(job_connect6)(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller_here(ctx);
	if (!c.job || !ctx->sk)
		return 1;
	struct address to = read6(ctx);
	struct address local = local_of(ctx->sk);
	/* To a socket with an IPv4 address, :: is the IPv4 loopback (net/ipv6/tcp_ipv6.c). */
	if (is_any(&to) && is_v4(&local))
		to = mapped(0);
	int error = job_connect(ctx, &c, &to);
	if (error)
		return refuse(error);
	write6(ctx, &to);
	return 1;
}

/* ---- datagrams ---- */

inline_ int job_send(struct bpf_sock_addr *ctx, const struct caller *c, struct address *from,
		     struct address *to)
{
	int v4 = is_v4(to);
	struct address loopback = loopback_of(c, v4);
	/* A dual-stack socket that is bound sits on an IPv4 address; learn() brings it the answers. */
	if (!v4 && is_v4(from))
		*from = (struct address){ { 0, 0, 0, 0 } };
	if (is_same(to, &loopback) || is_loopback(to) || is_any(to))
		return resolve(ctx, c, from, 0, to);
	if (is_same(from, &loopback) || is_multicast(from))
		return 0;
	if (is_any(from) || is_loopback(from)) {
		if (!has_family(c, v4))
			return ENETUNREACH;
		*from = primary_of(c, v4);
		return 0;
	}
	return is_own(c, from) ? 0 : EADDRNOTAVAIL;
}

PROGRAM(job_send4)(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller_here(ctx);
	/* No destination: the socket is connected, and connect() has seen to it. */
	if (!c.job || !ctx->sk || ctx->user_port == 0)
		return 1;
	struct address to = mapped(ctx->user_ip4);
	struct address from = mapped(ctx->msg_src_ip4);
	int error = job_send(ctx, &c, &from, &to);
	if (error)
		return refuse(error);
	ctx->user_ip4 = to.w[3];
	ctx->msg_src_ip4 = from.w[3];
	return 1;
}

PROGRAM(job_send6)(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller_here(ctx);
	if (!c.job || !ctx->sk || ctx->user_port == 0)
		return 1;
	struct address to = read6(ctx);
	struct address from = LOAD_ADDRESS(ctx, msg_src_ip6);
	int error = job_send(ctx, &c, &from, &to);
	if (error)
		return refuse(error);
	write6(ctx, &to);
	ctx->msg_src_ip6[0] = from.w[0];
	ctx->msg_src_ip6[1] = from.w[1];
	ctx->msg_src_ip6[2] = from.w[2];
	ctx->msg_src_ip6[3] = from.w[3];
	return 1;
}

/* ---- what the program is shown: recvfrom(), getsockname(), getpeername() ---- */

/* A connection of the private loopback and the job's own address is loopback at both ends. */
inline_ void show(const struct caller *c, const struct address *other, struct address *a)
{
	int v4 = is_v4(a);
	struct address loopback = loopback_of(c, v4);
	if (is_same(a, &loopback) || (is_same(other, &loopback) && is_own(c, a)))
		*a = public_loopback(v4);
}

inline_ int show4(struct bpf_sock_addr *ctx, int is_local)
{
	struct caller c = find_caller_here(ctx);
	if (!c.job || !ctx->sk)
		return 1;
	struct address a = mapped(ctx->user_ip4);
	struct address other = is_local ? remote_of(ctx->sk) : local_of(ctx->sk);
	show(&c, &other, &a);
	ctx->user_ip4 = a.w[3];
	return 1;
}

inline_ int show6(struct bpf_sock_addr *ctx, int is_local)
{
	struct caller c = find_caller_here(ctx);
	if (!c.job || !ctx->sk)
		return 1;
	struct address a = read6(ctx);
	struct address other = is_local ? remote_of(ctx->sk) : local_of(ctx->sk);
	show(&c, &other, &a);
	write6(ctx, &a);
	return 1;
}

PROGRAM(job_receive4)(struct bpf_sock_addr *ctx)
{
	return show4(ctx, 0);
}

PROGRAM(job_receive6)(struct bpf_sock_addr *ctx)
{
	return show6(ctx, 0);
}

PROGRAM(job_peer4)(struct bpf_sock_addr *ctx)
{
	return show4(ctx, 0);
}

PROGRAM(job_peer6)(struct bpf_sock_addr *ctx)
{
	return show6(ctx, 0);
}

PROGRAM(job_name4)(struct bpf_sock_addr *ctx)
{
	return show4(ctx, 1);
}

PROGRAM(job_name6)(struct bpf_sock_addr *ctx)
{
	return show6(ctx, 1);
}
