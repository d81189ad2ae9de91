/* SPDX-License-Identifier: MIT OR GPL-2.0-only */

/* The job of the task that makes the system call; no job: the call is none of our business. */
struct caller {
	__u64 id;
	struct job *job;
};

inline_ struct caller find_caller(void)
{
	struct caller none = { 0, 0 };
#pragma unroll
	for (int level = 1; level <= LEVELS_MAX; level++) {
		__u64 id = ancestor(level);
		if (id == 0)
			return none;
		struct job *job = map_lookup(&jobs, &id);
		if (job)
			return (struct caller){ id, job };
	}
	return none;
}

/* A socket of another network namespace (a sandbox in the job) knows nothing of our addresses. */
inline_ int is_elsewhere(void *ctx)
{
	__u32 zero = 0;
	struct settings *known = map_lookup(&settings, &zero);
	return !known || known->netns != netns_cookie(ctx);
}

inline_ struct caller find_caller_here(struct bpf_sock_addr *ctx)
{
	struct caller c = find_caller();
	if (c.job && is_elsewhere(ctx))
		c.job = 0;
	return c;
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

/* Of the networks that the job's addresses lie in, or of all. */
inline_ int is_broadcast(const struct caller *c, const struct address *a)
{
	if (!is_v4(a) || a->w[3] == 0)
		return 0;
	int found = a->w[3] == WORD(255, 255, 255, 255);
#pragma unroll
	for (int i = 0; i < ADDRESSES_MAX; i++)
		found |= a->w[3] == c->job->broadcast4[i];
	return found;
}
