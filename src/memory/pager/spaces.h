/* Processes that lack pages, and who waits for which. */

enum { WANTS = 4 };
enum { PAGEFAULT = 0x12, FORK = 0x13, REMAP = 0x14, REMOVE = 0x15, UNMAP = 0x16 };
enum { MISSING = 0, STORED = 1, ZERO = 2 };

/* Pages that can be waited for at once: a thread each. */
enum { WAITING_MAX = 65536 };
/* Less is not worth a hole in the store. */
enum { PUNCH_PAGES = 16 };

struct waiter { i64 fd; u64 address; };
struct uffd_msg { u8 event, r1; u16 r2; u32 r3; u64 a, b, c; };

static struct space *spaces;
static u64 space_count, space_room;
static struct waiter *waiting;
static u64 waiting_count;
static const volatile u8 *state;

static struct space *add_space(i64 fd)
{
	struct space *s;

	spaces = grown(spaces, space_count, &space_room, sizeof(*spaces));
	s = spaces + space_count++;
	memset(s, 0, sizeof(*s));
	s->fd = fd;
	return s;
}

/* The process has ended, or has all its pages. */
static void drop_space(struct space *s)
{
	call1(SYS_close, s->fd);
	if (s->room)
		call2(SYS_munmap, s->ranges, s->room * sizeof(struct range));
	s->fd = -1;
	s->count = s->room = 0;
	s->ranges = 0;
}

/* All but one, that is in the middle of something. */
static void drop_ended(u64 but)
{
	for (u64 i = 0; i < space_count; i++)
		if (i != but && spaces[i].count && has_ended(spaces + i))
			drop_space(spaces + i);
}

/* Those that have everything are let go; whether all have. */
static int let_go(void)
{
	u64 kept = 0;

	for (u64 i = 0; i < space_count; i++) {
		if (spaces[i].fd >= 0 && spaces[i].count == 0)
			drop_space(spaces + i);
		if (spaces[i].fd >= 0)
			spaces[kept++] = spaces[i];
	}
	space_count = kept;
	return kept == 0;
}

static struct space *space_of(i64 fd)
{
	for (u64 i = 0; i < space_count; i++)
		if (spaces[i].fd == fd)
			return spaces + i;
	return 0;
}

/* How many pages from there on, up to a maximum, are in the state that the first was seen in. */
static u64 alike(u64 slot, u64 pages, u8 seen)
{
	u64 n = 1;

	while (n < pages && state[slot + n] == seen)
		n++;
	return n;
}

/*
 * 0 when the page is still to come, or what has happened must be read first. `ask` for it the first
 * time, and again when nothing has come for a while: what is sent may find no room.
 */
static int serve(struct space *s, u64 address, int ask)
{
	u64 at = find(s, address);
	i64 done;

	if (at == s->count || s->ranges[at].start > address) {
		done = fill(s, address, 0, 1, 1);
	} else {
		u64 slot = s->ranges[at].slot + (address - s->ranges[at].start) / PAGE;
		u64 most = smaller(AROUND_FAULT, (s->ranges[at].end - address) / PAGE);
		u8 seen = state[slot];

		if (seen == MISSING) {
			if (ask)
				call3(SYS_write, WANTS, &slot, sizeof(slot));
			return 0;
		}
		if (seen == ZERO)
			done = fill(s, address, slot, 1, 1);
		else
			done = fill(s, address, slot, alike(slot, most, seen), 0);
		if (done > 0)
			cut(s, address, address + done);
	}
	if (done < 0)
		drop_space(s);
	return done != 0;
}

/* The state has changed, or a mapping has: whoever waits may be served now. */
static void serve_waiting(int ask)
{
	u64 kept = 0;

	for (u64 i = 0; i < waiting_count; i++) {
		struct space *s = space_of(waiting[i].fd);

		if (s && !serve(s, waiting[i].address, ask))
			waiting[kept++] = waiting[i];
	}
	waiting_count = kept;
}

/* A thread that a signal wakes touches its page again: it waits for it already. */
static void fault(struct space *s, u64 address)
{
	for (u64 i = 0; i < waiting_count; i++)
		if (waiting[i].fd == s->fd && waiting[i].address == address)
			return;
	if (serve(s, address, 1))
		return;
	if (waiting_count == WAITING_MAX)
		give_up();
	waiting[waiting_count++] = (struct waiter){s->fd, address};
}

/* A child lacks what its parent does. Those that ended are let go, or descriptors run out. */
static void forked(u64 number, i64 fd)
{
	struct space *child, *s;

	drop_ended(number);
	child = add_space(fd);
	s = spaces + number;
	for (u64 i = 0; i < s->count; i++)
		insert(child, i, s->ranges[i]);
	child->shared = s->shared = 1;
}

/* One event of one process; 0 when there was none. */
static int event(u64 number)
{
	struct uffd_msg message;
	struct space *s = spaces + number;
	i64 got = call3(SYS_read, s->fd, &message, sizeof(message));

	if (got != sizeof(message))
		return 0;
	switch (message.event) {
	case PAGEFAULT:
		fault(s, message.b & ~(PAGE - 1));
		break;
	case FORK:
		forked(number, (u32)message.a);
		break;
	case REMAP:
		shift(s, message.a, message.b, message.c);
		break;
	case REMOVE:
	case UNMAP:
		cut(s, message.a, message.b);
		break;
	default:
		give_up();
	}
	return 1;
}

/* A step of what nobody has asked for yet; 0 when nothing can be done before the state changes. */
static int ahead(struct space *s)
{
	if (s->fd < 0 || s->stalled)
		return 0;
	for (u64 at = find(s, s->cursor); at < s->count; at++) {
		struct range r = s->ranges[at];
		u64 from = s->cursor > r.start ? s->cursor : r.start;

		while (from < r.end) {
			u64 slot = r.slot + (from - r.start) / PAGE;
			u8 seen = state[slot];
			u64 pages = alike(slot, smaller(AT_ONCE, (r.end - from) / PAGE), seen);
			i64 done = pages * PAGE;

			if (seen == MISSING) {
				from += done;
				continue;
			}
			if (seen == STORED)
				done = fill(s, from, slot, pages, 0);
			s->cursor = from;
			if (done < 0) {
				drop_space(s);
			} else if (done > 0) {
				cut(s, from, from + done);
				s->cursor += done;
				if (!s->shared && seen == STORED && done >= PUNCH_PAGES * (i64)PAGE)
					call4(SYS_fallocate, store, PUNCH_KEEP, slot * PAGE, done);
			}
			return 1;
		}
	}
	/* What lies before the cursor may have come since it was passed. */
	s->stalled = s->cursor == 0;
	s->cursor = 0;
	return !s->stalled;
}
