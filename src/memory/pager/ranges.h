/*
 * What a process has still to get: ranges of addresses, sorted, each with the slots of its pages.
 * They follow what the program does with its mappings, which userfaultfd(2) tells.
 */
struct range { u64 start, end, slot; };
/* One process. What is found in no range was never written to, or has been filled in. */
struct space {
	i64 fd;
	u64 count, room;
	struct range *ranges;
	/* Where to go on with what nobody has asked for. */
	u64 cursor;
	/* A fork has the same slots. */
	u8 shared;
	/* Nothing of it is there before the state changes. */
	u8 stalled;
};

static void insert(struct space *s, u64 at, struct range new)
{
	s->ranges = grown(s->ranges, s->count, &s->room, sizeof(new));
	memmove(s->ranges + at + 1, s->ranges + at, (s->count - at) * sizeof(new));
	s->ranges[at] = new;
	s->count++;
}

/* The first range that ends after the address. */
static u64 find(const struct space *s, u64 address)
{
	u64 low = 0, high = s->count;
	while (low < high) {
		u64 middle = (low + high) / 2;
		if (s->ranges[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* What lies between two addresses is not to be filled in any more. */
static void cut(struct space *s, u64 from, u64 to)
{
	u64 at = find(s, from);
	if (at < s->count && s->ranges[at].start < from) {
		struct range *r = s->ranges + at;
		struct range rest = {from, r->end, r->slot + (from - r->start) / PAGE};
		r->end = from;
		insert(s, ++at, rest);
	}
	u64 last = at;
	while (last < s->count && s->ranges[last].end <= to)
		last++;
	if (last < s->count && s->ranges[last].start < to) {
		struct range *r = s->ranges + last;
		r->slot += (to - r->start) / PAGE;
		r->start = to;
	}
	memmove(s->ranges + at, s->ranges + last, (s->count - last) * sizeof(struct range));
	s->count -= last - at;
}

/* mremap(2): the same pages are wanted at other addresses. */
static void shift(struct space *s, u64 from, u64 to, u64 length)
{
	static struct range *moved;
	static u64 room;
	u64 count = 0;
	for (u64 at = find(s, from); at < s->count && s->ranges[at].start < from + length; at++) {
		struct range r = s->ranges[at];
		if (r.start < from) {
			r.slot += (from - r.start) / PAGE;
			r.start = from;
		}
		if (r.end > from + length)
			r.end = from + length;
		r.start += to - from;
		r.end += to - from;
		moved = grown(moved, count, &room, sizeof(r));
		moved[count++] = r;
	}
	cut(s, from, from + length);
	cut(s, to, to + length);
	for (u64 i = 0; i < count; i++)
		insert(s, find(s, moved[i].start), moved[i]);
	s->cursor = 0;
	s->stalled = 0;
}
