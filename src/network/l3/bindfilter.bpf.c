/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * The bind filter: what makes a job that shares its host's network stack see its own addresses only.
 *
 * job_*     run at the cgroup that is the parent of all jobs, in the task that calls; a task that is in no job passes.
 * guard_*   run at the root cgroup and keep everybody else out of the jobs' private loopback addresses.
 * steer     runs in the host's network namespace when a packet looks for a listener: one dual-stack socket can be bound
 *           to one address only, so packets to the job's other addresses are brought to it here.
 *
 * Every address is kept as 16 bytes, IPv4 as ::ffff:a.b.c.d, so that one piece of code serves both families.
 * The maps are created by src/network/l3/programs.ts; the order of their symbols does not matter, their names do.
 * Layout of the values: src/network/l3/layout.ts. Change LAYOUT there whenever a struct here changes.
 */
#include <linux/bpf.h>

#define SEC(name) __attribute__((section(name), used))
#define PROGRAM(name) SEC("program/" #name)
#define inline_ static __attribute__((always_inline))
#define MAP(name) struct map name SEC("map") = { 0 }

#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define IPPROTO_TCP 6
#define ENETUNREACH 101
#define EADDRNOTAVAIL 99
#define ECONNREFUSED 111

#define ADDRESSES_MAX 8
/* A job's processes may sit in sub-cgroups of the job's own; the root is level 0. */
#define LEVELS_MAX 10
/* Members of one SO_REUSEPORT group that are remembered; the kernel picks among all members itself. */
#define SLOTS_MAX 8

#define WORD(a, b, c, d) ((__u32)(a) | (__u32)(b) << 8 | (__u32)(c) << 16 | (__u32)(d) << 24)
#define PORT(p) ((__u16)((__u16)(p) >> 8 | (__u16)(p) << 8))

struct map { int unused; };
struct address { __u32 w[4]; };
struct job {
	__u32 count4, count6;
	struct address loopback4, loopback6;
	struct address own4[ADDRESSES_MAX], own6[ADDRESSES_MAX];
};
struct owner { __u64 job; __u32 loopback; __u32 unused; };
struct settings { __u32 layout, unused; __u64 object, netns; };
struct listener { struct address address; __u16 port, slot; };

MAP(jobs);      /* hash: cgroup id -> struct job */
MAP(addresses); /* hash: struct address -> struct owner */
MAP(settings);  /* array of one struct settings */
MAP(listeners); /* sockhash: struct listener -> a listening TCP socket of a job */
MAP(sockets);   /* socket storage: the cgroup id of the job that made the socket */

static void *(*map_lookup)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static __u64 (*ancestor)(int level) = (void *)BPF_FUNC_get_current_ancestor_cgroup_id;
static long (*set_retval)(int value) = (void *)BPF_FUNC_set_retval;
static long (*bind_socket)(void *ctx, void *address, int size) = (void *)BPF_FUNC_bind;
static __u64 (*netns_cookie)(void *ctx) = (void *)BPF_FUNC_get_netns_cookie;
static long (*read_kernel)(void *to, __u32 size, const void *from) = (void *)BPF_FUNC_probe_read_kernel;
static struct bpf_sock *(*lookup_tcp)(void *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns, __u64 flags) =
	(void *)BPF_FUNC_sk_lookup_tcp;
static struct bpf_sock *(*lookup_udp)(void *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns, __u64 flags) =
	(void *)BPF_FUNC_sk_lookup_udp;
static long (*release)(void *sk) = (void *)BPF_FUNC_sk_release;
static void *(*storage)(void *map, void *sk, void *value, __u64 flags) = (void *)BPF_FUNC_sk_storage_get;
static long (*remember)(void *ctx, void *map, void *key, __u64 flags) = (void *)BPF_FUNC_sock_hash_update;
static long (*assign)(void *ctx, void *sk, __u64 flags) = (void *)BPF_FUNC_sk_assign;

/* ---- addresses ---- */

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
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2] && a->w[3] == b->w[3];
}

inline_ int is_any(const struct address *a)
{
	return a->w[0] == 0 && a->w[1] == 0 && a->w[3] == 0 && (a->w[2] == 0 || a->w[2] == WORD(0, 0, 0xff, 0xff));
}

inline_ int is_loopback(const struct address *a)
{
	if (is_v4(a)) return (a->w[3] & 0xff) == 127;
	return a->w[0] == 0 && a->w[1] == 0 && a->w[2] == 0 && a->w[3] == WORD(0, 0, 0, 1);
}

inline_ int is_multicast(const struct address *a)
{
	if (is_v4(a)) return (a->w[3] & 0xf0) == 0xe0;
	return (a->w[0] & 0xff) == 0xff;
}

/* What the program sees in place of its private loopback address. */
inline_ struct address public_loopback(int v4)
{
	if (v4) return mapped(WORD(127, 0, 0, 1));
	return (struct address){ { 0, 0, 0, WORD(0, 0, 0, 1) } };
}

/* ---- the job of the caller ---- */

struct caller { __u64 id; struct job *job; };

inline_ struct caller find_caller(void)
{
	struct caller none = { 0, 0 };
#pragma unroll
	for (int level = 1; level <= LEVELS_MAX; level++) {
		__u64 id = ancestor(level);
		if (id == 0) return none;
		struct job *job = map_lookup(&jobs, &id);
		if (job) return (struct caller){ id, job };
	}
	return none;
}

/* A socket of another network namespace (a sandbox inside the job) has nothing to do with the job's addresses. */
inline_ int is_elsewhere(void *ctx)
{
	__u32 zero = 0;
	struct settings *known = map_lookup(&settings, &zero);
	return !known || known->netns != netns_cookie(ctx);
}

inline_ int is_own(const struct caller *c, const struct address *a)
{
	struct owner *owner = map_lookup(&addresses, a);
	return owner && owner->job == c->id;
}

inline_ struct address loopback_of(const struct caller *c, int v4)
{
	return v4 ? c->job->loopback4 : c->job->loopback6;
}

inline_ int has_family(const struct caller *c, int v4)
{
	return (v4 ? c->job->count4 : c->job->count6) != 0;
}

inline_ struct address primary_of(const struct caller *c, int v4)
{
	return v4 ? c->job->own4[0] : c->job->own6[0];
}

/* ---- sockets ---- */

inline_ int refuse(int error)
{
	set_retval(-error);
	return 0;
}

/*
 * IPV6_V6ONLY of a socket. No helper tells it (bpf_getsockopt knows IPV6_TCLASS and IPV6_AUTOFLOWLABEL only), so the bit
 * is read where struct sock_common (include/net/sock.h) has had it since Linux 3.14: skc_ipv6only, bit 5 of byte 19.
 */
inline_ int is_v6only(struct bpf_sock *sk)
{
	__u8 head[20];
	if (read_kernel(head, sizeof(head), sk)) return 0;
	return head[19] >> 5 & 1;
}

/*
 * Loads a 32-bit field with its offset in the instruction: clang would compute an address inside the socket first where
 * two loads have something in common, and the verifier refuses arithmetic on a pointer to a socket.
 */
#define LOAD(from, field) ({ \
	__u32 value_; \
	__asm__ volatile("%0 = *(u32 *)(%1 + %2)" \
		: "=r"(value_) : "r"(from), "i"(__builtin_offsetof(__typeof__(*(from)), field))); \
	value_; })

/* The address that a socket is bound to; the wildcard if it is not. */
inline_ struct address local_of(struct bpf_sock *sk)
{
	if (LOAD(sk, family) == AF_INET) return mapped(LOAD(sk, src_ip4));
	return (struct address){ {
		LOAD(sk, src_ip6[0]), LOAD(sk, src_ip6[1]),
		LOAD(sk, src_ip6[2]), LOAD(sk, src_ip6[3]),
	} };
}

inline_ struct address remote_of(struct bpf_sock *sk)
{
	if (LOAD(sk, family) == AF_INET) return mapped(LOAD(sk, dst_ip4));
	return (struct address){ {
		LOAD(sk, dst_ip6[0]), LOAD(sk, dst_ip6[1]),
		LOAD(sk, dst_ip6[2]), LOAD(sk, dst_ip6[3]),
	} };
}

/* Gives an unbound socket its source address; the port stays free until connect() picks one per destination. */
inline_ long leave_from(struct bpf_sock_addr *ctx, const struct address *a)
{
	if (ctx->sk->family == AF_INET) {
		struct { __u16 family, port; __u32 ip; __u64 zero; } to = { AF_INET, 0, a->w[3], 0 };
		return bind_socket(ctx, &to, sizeof(to));
	}
	struct { __u16 family, port; __u32 flow; struct address ip; __u32 scope; } to6 = { AF_INET6, 0, 0, *a, 0 };
	return bind_socket(ctx, &to6, sizeof(to6));
}

/* 1: a socket of this job would take a packet from -> to; 0: nobody would; -1: a socket that is not the job's. */
inline_ int who_takes(struct bpf_sock_addr *ctx, const struct caller *c, const struct address *from, __u16 from_port,
		      const struct address *to, __u16 to_port)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = sizeof(tuple.ipv6);
	if (is_v4(to)) {
		tuple.ipv4.saddr = from->w[3];
		tuple.ipv4.daddr = to->w[3];
		tuple.ipv4.sport = from_port;
		tuple.ipv4.dport = to_port;
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, from, 16);
		__builtin_memcpy(tuple.ipv6.daddr, to, 16);
		tuple.ipv6.sport = from_port;
		tuple.ipv6.dport = to_port;
	}
	struct bpf_sock *sk;
	if (ctx->type == SOCK_STREAM) {
		if (size == sizeof(tuple.ipv4)) sk = lookup_tcp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
		else sk = lookup_tcp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	} else {
		if (size == sizeof(tuple.ipv4)) sk = lookup_udp(ctx, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
		else sk = lookup_udp(ctx, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	if (!sk) return 0;
	__u64 *job = storage(&sockets, sk, 0, 0);
	int ours = job && *job == c->id;
	release(sk);
	return ours ? 1 : -1;
}

/*
 * Where a packet to 127.0.0.1 or ::1 goes. The private loopback address first; a socket that was bound to the wildcard
 * sits on the job's own address instead. A host's wildcard socket would take packets to any address: it must not get these.
 * `from` is where the packet leaves from, the private loopback unless the socket is bound; both may change.
 */
inline_ int resolve(struct bpf_sock_addr *ctx, const struct caller *c, struct address *from, int fixed, struct address *to)
{
	int v4 = is_v4(to);
	struct address loopback = loopback_of(c, v4);
	__u16 to_port = (__u16)ctx->user_port;
	/* A TCP client's port is not chosen yet, and only listeners are looked for. */
	__u16 from_port = ctx->type == SOCK_STREAM ? 0 : PORT(ctx->sk->src_port);
	if (!fixed) *from = loopback;
	*to = loopback;
	int taker = who_takes(ctx, c, from, from_port, to, to_port);
	if (taker == 1 || !has_family(c, v4)) goto decided;
	struct address primary = primary_of(c, v4);
	if (!fixed && ctx->type != SOCK_STREAM) {
		/* The other end may be connected to this socket's own address: its answers must come from there. */
		if (who_takes(ctx, c, &primary, from_port, to, to_port) == 1) {
			*from = primary;
			return 0;
		}
	}
	if (who_takes(ctx, c, from, from_port, &primary, to_port) == 1) {
		*to = primary;
		return 0;
	}
decided:
	return taker == -1 ? ECONNREFUSED : 0;
}

/* ---- bind ---- */

inline_ int job_bind(struct bpf_sock_addr *ctx, const struct caller *c, struct address *a)
{
	int v4 = is_v4(a);
	if (is_any(a)) {
		if (!v4 && !has_family(c, 0) && has_family(c, 1) && !is_v6only(ctx->sk)) v4 = 1;
		*a = has_family(c, v4) ? primary_of(c, v4) : loopback_of(c, v4);
		return 0;
	}
	if (is_own(c, a) || is_multicast(a)) return 0;
	if (!is_loopback(a)) return EADDRNOTAVAIL;
	*a = loopback_of(c, v4);
	return 0;
}

PROGRAM(job_bind4) int job_bind4(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller();
	if (!c.job || is_elsewhere(ctx)) return 1;
	struct address a = mapped(ctx->user_ip4);
	int error = job_bind(ctx, &c, &a);
	if (error) return refuse(error);
	ctx->user_ip4 = a.w[3];
	return 1;
}

inline_ struct address read6(struct bpf_sock_addr *ctx)
{
	return (struct address){ { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] } };
}

inline_ void write6(struct bpf_sock_addr *ctx, const struct address *a)
{
	ctx->user_ip6[0] = a->w[0];
	ctx->user_ip6[1] = a->w[1];
	ctx->user_ip6[2] = a->w[2];
	ctx->user_ip6[3] = a->w[3];
}

PROGRAM(job_bind6) int job_bind6(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller();
	if (!c.job || is_elsewhere(ctx)) return 1;
	struct address a = read6(ctx);
	int error = job_bind(ctx, &c, &a);
	if (error) return refuse(error);
	write6(ctx, &a);
	return 1;
}

/* ---- connect ---- */

inline_ int job_connect(struct bpf_sock_addr *ctx, const struct caller *c, struct address *to)
{
	int v4 = is_v4(to);
	struct address loopback = loopback_of(c, v4);
	struct address local = local_of(ctx->sk);
	int has_port = ctx->sk->src_port != 0;
	int bound = !is_any(&local);
	/* A program never sees the private address: whoever names it is a restore that puts a connection back. */
	int raw = is_same(to, &loopback);
	if (raw || is_loopback(to) || is_any(to)) {
		struct address from = has_port && bound ? local : loopback;
		int error = raw ? 0 : resolve(ctx, c, &from, has_port && bound, to);
		if (error) return error;
		if (bound && (has_port || is_same(&local, &from))) return 0;
		return leave_from(ctx, &from) ? EADDRNOTAVAIL : 0;
	}
	if (bound && (has_port || !is_same(&local, &loopback))) return 0;
	if (!has_family(c, v4)) return ENETUNREACH;
	struct address primary = primary_of(c, v4);
	return leave_from(ctx, &primary) ? EADDRNOTAVAIL : 0;
}

PROGRAM(job_connect4) int job_connect4(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller();
	if (!c.job || !ctx->sk || is_elsewhere(ctx)) return 1;
	struct address to = mapped(ctx->user_ip4);
	int error = job_connect(ctx, &c, &to);
	if (error) return refuse(error);
	ctx->user_ip4 = to.w[3];
	return 1;
}

PROGRAM(job_connect6) int job_connect6(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller();
	if (!c.job || !ctx->sk || is_elsewhere(ctx)) return 1;
	struct address to = read6(ctx);
	/* A socket that is bound to an IPv4 address and connects to :: means the IPv4 loopback (net/ipv6/tcp_ipv6.c). */
	struct address local = local_of(ctx->sk);
	if (is_any(&to) && !is_v4(&to) && is_v4(&local)) to = mapped(0);
	int error = job_connect(ctx, &c, &to);
	if (error) return refuse(error);
	write6(ctx, &to);
	return 1;
}

/* ---- datagrams ---- */

inline_ int job_send(struct bpf_sock_addr *ctx, const struct caller *c, struct address *from, struct address *to)
{
	int v4 = is_v4(to);
	struct address loopback = loopback_of(c, v4);
	if (is_same(to, &loopback) || is_loopback(to) || is_any(to)) return resolve(ctx, c, from, 0, to);
	if (is_same(from, &loopback) || is_multicast(from)) return 0;
	/* The kernel puts 127.0.0.6 where an IPv6 socket that is bound to an IPv6 address has no IPv4 one. */
	if (is_any(from) || is_loopback(from)) {
		if (!has_family(c, v4)) return ENETUNREACH;
		*from = primary_of(c, v4);
		return 0;
	}
	return is_own(c, from) ? 0 : EADDRNOTAVAIL;
}

PROGRAM(job_send4) int job_send4(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller();
	if (!c.job || !ctx->sk || is_elsewhere(ctx)) return 1;
	/* No destination: the socket is connected and connect() has seen to it. */
	if (ctx->user_port == 0) return 1;
	struct address to = mapped(ctx->user_ip4);
	struct address from = mapped(ctx->msg_src_ip4);
	int error = job_send(ctx, &c, &from, &to);
	if (error) return refuse(error);
	ctx->user_ip4 = to.w[3];
	ctx->msg_src_ip4 = from.w[3];
	return 1;
}

PROGRAM(job_send6) int job_send6(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller();
	if (!c.job || !ctx->sk || is_elsewhere(ctx)) return 1;
	if (ctx->user_port == 0) return 1;
	struct address to = read6(ctx);
	struct address from = { { ctx->msg_src_ip6[0], ctx->msg_src_ip6[1], ctx->msg_src_ip6[2], ctx->msg_src_ip6[3] } };
	int error = job_send(ctx, &c, &from, &to);
	if (error) return refuse(error);
	write6(ctx, &to);
	ctx->msg_src_ip6[0] = from.w[0];
	ctx->msg_src_ip6[1] = from.w[1];
	ctx->msg_src_ip6[2] = from.w[2];
	ctx->msg_src_ip6[3] = from.w[3];
	return 1;
}

/* ---- what the program is shown: recvmsg's source, getsockname, getpeername ---- */

inline_ void show(const struct caller *c, const struct address *other, struct address *a)
{
	int v4 = is_v4(a);
	struct address loopback = loopback_of(c, v4);
	if (is_same(a, &loopback)) *a = public_loopback(v4);
	/* A connection between the private loopback and the job's own address is a loopback connection at both ends. */
	else if (is_same(other, &loopback) && is_own(c, a)) *a = public_loopback(v4);
}

inline_ int show4(struct bpf_sock_addr *ctx, int other_is_remote)
{
	struct caller c = find_caller();
	if (!c.job || !ctx->sk || is_elsewhere(ctx)) return 1;
	struct address a = mapped(ctx->user_ip4);
	struct address other = other_is_remote ? remote_of(ctx->sk) : local_of(ctx->sk);
	show(&c, &other, &a);
	ctx->user_ip4 = a.w[3];
	return 1;
}

inline_ int show6(struct bpf_sock_addr *ctx, int other_is_remote)
{
	struct caller c = find_caller();
	if (!c.job || !ctx->sk || is_elsewhere(ctx)) return 1;
	struct address a = read6(ctx);
	struct address other = other_is_remote ? remote_of(ctx->sk) : local_of(ctx->sk);
	show(&c, &other, &a);
	write6(ctx, &a);
	return 1;
}

PROGRAM(job_receive4) int job_receive4(struct bpf_sock_addr *ctx) { return show4(ctx, 0); }
PROGRAM(job_receive6) int job_receive6(struct bpf_sock_addr *ctx) { return show6(ctx, 0); }
PROGRAM(job_peer4) int job_peer4(struct bpf_sock_addr *ctx) { return show4(ctx, 0); }
PROGRAM(job_peer6) int job_peer6(struct bpf_sock_addr *ctx) { return show6(ctx, 0); }
PROGRAM(job_name4) int job_name4(struct bpf_sock_addr *ctx) { return show4(ctx, 1); }
PROGRAM(job_name6) int job_name6(struct bpf_sock_addr *ctx) { return show6(ctx, 1); }

/* ---- whose socket is it: known from its creation on ---- */

PROGRAM(job_socket) int job_socket(struct bpf_sock *ctx)
{
	struct caller c = find_caller();
	if (c.job) storage(&sockets, ctx, &c.id, BPF_SK_STORAGE_GET_F_CREATE);
	return 1;
}

/* Every listening TCP socket of a job is kept by address and port, also one that a restore puts back. */
PROGRAM(job_listen) int job_listen(struct bpf_sock_ops *ctx)
{
	if (ctx->op != BPF_SOCK_OPS_TCP_LISTEN_CB) return 1;
	struct bpf_sock *sk = ctx->sk;
	if (!sk) return 1;
	__u64 *id = storage(&sockets, sk, 0, 0);
	if (!id) return 1;
	struct job *job = map_lookup(&jobs, id);
	if (!job) return 1;
	struct listener key = { local_of(sk), (__u16)ctx->local_port, 0 };
	/* listen() without bind(): the kernel chose the port, the address is still the wildcard. */
	if (is_any(&key.address)) key.address = ctx->family == AF_INET || !job->count6 ? job->own4[0] : job->own6[0];
#pragma unroll
	for (int slot = 0; slot < SLOTS_MAX; slot++) {
		key.slot = slot;
		if (remember(ctx, &listeners, &key, BPF_NOEXIST) == 0) return 1;
	}
	return 1;
}

/* ---- packets that look for a listener ---- */

/* 1: a listener was there (and chosen, if asked for), 0: none. */
inline_ int try_listener(struct bpf_sk_lookup *ctx, const struct address *a, int choose)
{
	struct listener key = { *a, (__u16)ctx->local_port, 0 };
#pragma unroll
	for (int slot = 0; slot < SLOTS_MAX; slot++) {
		key.slot = slot;
		struct bpf_sock *sk = map_lookup(&listeners, &key);
		if (!sk) continue;
		/* A V6ONLY socket does not take IPv4: the kernel says no, and the next one is tried. */
		long error = choose ? assign(ctx, sk, 0) : 0;
		release(sk);
		if (!error) return 1;
	}
	return 0;
}

PROGRAM(steer) int steer(struct bpf_sk_lookup *ctx)
{
	struct address to = mapped(LOAD(ctx, local_ip4));
	if (LOAD(ctx, family) == AF_INET6) {
		to.w[0] = LOAD(ctx, local_ip6[0]);
		to.w[1] = LOAD(ctx, local_ip6[1]);
		to.w[2] = LOAD(ctx, local_ip6[2]);
		to.w[3] = LOAD(ctx, local_ip6[3]);
	}
	struct owner *owner = map_lookup(&addresses, &to);
	if (!owner) return SK_PASS;
	/* A packet to a private loopback address never comes in by a cable. Index 1 is `lo`; 0 is a lookup of our own. */
	if (owner->loopback && ctx->ingress_ifindex > 1) return SK_DROP;
	if (ctx->protocol != IPPROTO_TCP) return SK_PASS;
	struct job *job = map_lookup(&jobs, &owner->job);
	if (!job) return SK_PASS;
	if (try_listener(ctx, &to, 0)) return SK_PASS;
	struct address own4 = job->own4[0], own6 = job->own6[0];
	int has4 = job->count4 != 0 && !is_same(&to, &own4);
	int has6 = job->count6 != 0 && !is_same(&to, &own6);
	if (ctx->family == AF_INET && has4 && try_listener(ctx, &own4, 1)) return SK_PASS;
	if (has6 && try_listener(ctx, &own6, 1)) return SK_PASS;
	/* ::1 of a job without IPv6: its dual-stack sockets are bound to ::ffff:the IPv4 address. */
	if (ctx->family == AF_INET6 && owner->loopback && has4) try_listener(ctx, &own4, 1);
	return SK_PASS;
}

/* ---- everybody else ---- */

/* True when the address is a job's private loopback and the caller is not in that job. */
inline_ int is_foreign_loopback(struct bpf_sock_addr *ctx, const struct address *a)
{
	int candidate = is_v4(a) ? (a->w[3] & 0xff) == 127 : (a->w[0] & 0xff) == 0xfd;
	if (!candidate) return 0;
	struct owner *owner = map_lookup(&addresses, a);
	if (!owner || !owner->loopback || is_elsewhere(ctx)) return 0;
#pragma unroll
	for (int level = 1; level <= LEVELS_MAX; level++) {
		__u64 id = ancestor(level);
		if (id == owner->job) return 0;
		if (id == 0) return 1;
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

PROGRAM(guard_bind4) int guard_bind4(struct bpf_sock_addr *ctx) { return guard4(ctx, EADDRNOTAVAIL); }
PROGRAM(guard_bind6) int guard_bind6(struct bpf_sock_addr *ctx) { return guard6(ctx, EADDRNOTAVAIL); }
PROGRAM(guard_connect4) int guard_connect4(struct bpf_sock_addr *ctx) { return guard4(ctx, ECONNREFUSED); }
PROGRAM(guard_connect6) int guard_connect6(struct bpf_sock_addr *ctx) { return guard6(ctx, ECONNREFUSED); }

PROGRAM(guard_send4) int guard_send4(struct bpf_sock_addr *ctx)
{
	struct address from = mapped(ctx->msg_src_ip4);
	if (is_foreign_loopback(ctx, &from)) return refuse(EADDRNOTAVAIL);
	return guard4(ctx, ECONNREFUSED);
}

PROGRAM(guard_send6) int guard_send6(struct bpf_sock_addr *ctx)
{
	struct address from = { { ctx->msg_src_ip6[0], ctx->msg_src_ip6[1], ctx->msg_src_ip6[2], ctx->msg_src_ip6[3] } };
	if (is_foreign_loopback(ctx, &from)) return refuse(EADDRNOTAVAIL);
	return guard6(ctx, ECONNREFUSED);
}

char license_text[] SEC("license") = "Dual MIT/GPL";
