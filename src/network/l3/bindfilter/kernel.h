/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * What the programs use of the kernel: helpers, and what the maps hold. The maps are created by
 * src/network/l3/programs.ts; their names matter, not their order. The layout of the values is
 * written and read by src/network/l3/layout.ts: count its layoutVersion up with every change.
 */
#include <linux/bpf.h>

#define SEC(name) __attribute__((section(name), used))
#define PROGRAM(name) SEC("program/" #name) int name
#define inline_ static __attribute__((always_inline))
#define MAP(name) struct map name SEC("map") = { 0 }

#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ECONNREFUSED 111
#define ENETUNREACH 101
#define EADDRNOTAVAIL 99

#define ADDRESSES_MAX 8
/* A job's tasks may sit in cgroups below the job's own; the root is level 0. */
#define LEVELS_MAX 10
/* Members of one SO_REUSEPORT group that are remembered; the kernel picks among all of them. */
#define SLOTS_MAX 8
/* In place of a slot: the UDP socket for packets to an address that it is not bound to. */
#define SLOT_UDP 0xffff

/* Four bytes as they lie in memory, and a port in network order. */
#define WORD(a, b, c, d) ((__u32)(a) | (__u32)(b) << 8 | (__u32)(c) << 16 | (__u32)(d) << 24)
#define PORT(p) ((__u16)((__u16)(p) >> 8 | (__u16)(p) << 8))

struct map {
	int unused;
};

/* IPv4 addresses are kept as ::ffff:a.b.c.d, so that one piece of code serves both families. */
struct address {
	__u32 w[4];
};

struct job {
	__u32 count4, count6;
	struct address loopback4, loopback6;
	/* [0] is the primary. */
	struct address own4[ADDRESSES_MAX], own6[ADDRESSES_MAX];
	/* The broadcast addresses of its IPv4 prefixes; 0 is none. */
	__u32 broadcast4[ADDRESSES_MAX];
};

struct owner {
	__u64 job;
	__u32 loopback, unused;
};

struct settings {
	__u32 layout, unused;
	__u64 object, netns;
};

struct listener {
	struct address address;
	__u16 port, slot;
};

MAP(jobs);	/* hash: cgroup id -> struct job */
MAP(addresses); /* hash: struct address -> struct owner */
MAP(settings);	/* array of one struct settings */
MAP(listeners); /* sockhash: struct listener -> a socket of a job: TCP listens, UDP see learn.h */
MAP(sockets);	/* socket storage: the cgroup id of the job that made the socket */

#define HELPER(name) = (void *)BPF_FUNC_##name
typedef struct bpf_sock *lookup_helper(void *ctx, struct bpf_sock_tuple *tuple, __u32 size,
				       __u64 netns, __u64 flags);

static void *(*map_lookup)(void *map, const void *key) HELPER(map_lookup_elem);
static long (*map_update)(void *map, const void *key, const void *value, __u64 flags)
	HELPER(map_update_elem);
static long (*map_delete)(void *map, const void *key) HELPER(map_delete_elem);
static __u64 (*ancestor)(int level) HELPER(get_current_ancestor_cgroup_id);
static long (*set_retval)(int value) HELPER(set_retval);
static long (*bind_socket)(void *ctx, void *address, int size) HELPER(bind);
static __u64 (*netns_cookie)(void *ctx) HELPER(get_netns_cookie);
static long (*read_kernel)(void *to, __u32 size, const void *from) HELPER(probe_read_kernel);
static lookup_helper *lookup_tcp HELPER(sk_lookup_tcp);
static lookup_helper *lookup_udp HELPER(sk_lookup_udp);
static long (*release)(void *sk) HELPER(sk_release);
static void *(*storage)(void *map, void *sk, void *value, __u64 flags) HELPER(sk_storage_get);
static long (*remember)(void *ctx, void *map, void *key, __u64 flags) HELPER(sock_hash_update);
static long (*load_from)(const void *skb, __u32 offset, void *to, __u32 size, __u32 start)
	HELPER(skb_load_bytes_relative);
static long (*assign)(void *ctx, void *sk, __u64 flags) HELPER(sk_assign);

/*
 * Loads a 32-bit field with its offset in the instruction. Where two loads have something in
 * common, clang computes an address inside the object first, and the verifier refuses arithmetic
 * on a pointer to a socket or a context.
 */
#define LOAD(from, field) ({ \
	__u32 value_; \
	__asm__ volatile("%0 = *(u32 *)(%1 + %2)" \
		: "=r"(value_) \
		: "r"(from), "i"(__builtin_offsetof(__typeof__(*(from)), field))); \
	value_; })

#define LOAD_ADDRESS(from, field) ((struct address){ { \
	LOAD(from, field[0]), LOAD(from, field[1]), LOAD(from, field[2]), LOAD(from, field[3]) } })

inline_ int refuse(int error)
{
	set_retval(-error);
	return 0;
}
