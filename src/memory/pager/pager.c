/*
 * Gives a restored job its memory while it runs already. CRIU restores with --lazy-pages and hands
 * over a userfaultfd(2) for each process (criu/uffd.c, send_uffd); this program fills in each page
 * when it is touched, and all others meanwhile, from a store that is on this host or still arriving.
 * While it lives a job may wait for a page but never sees a wrong one; if pages can't come any more it
 * kills the job, because a userfaultfd that is closed too early reads as zeros.
 *
 * usage: pager WORK MEMORY KILL
 *   WORK    where CRIU looks for lazy-pages.socket
 *   MEMORY  holds `store` (pages by slot), `state` (a byte a slot: 0 still to come, 1 in the store,
 *           2 zeros), `index` (struct run: which addresses of which process have which slots)
 *   KILL    the cgroup.kill file of the job's cgroup
 *   3       a byte from whoever fills the store: the state has changed
 *   4       "l" when CRIU may come; then a u64 for each slot that the job waits for
 * Exit status: 0 all pages are there, 1 the restore failed, 2 wrong use, 3 pages were lost and the job
 * was killed.
 *
 * x86-64 Linux. Built by scripts/build-native.ts; a test rebuilds it and compares.
 */
#include "kernel.h"
#include "ranges.h"

#define UFFDIO_WAKE 0x8010aa02UL
#define UFFDIO_COPY 0xc028aa03UL
#define UFFDIO_ZEROPAGE 0xc020aa04UL
#define RESTORE_FINISHED 0x52535446

enum { PAGEFAULT = 0x12, FORK = 0x13, REMAP = 0x14, REMOVE = 0x15, UNMAP = 0x16 };
enum { MISSING = 0, STORED = 1, ZERO = 2 };

/* Pages copied at once, for a fault and in the background: CRIU copies 16 and up to 1,024. */
enum { AROUND_FAULT = 16, AT_ONCE = 256 };
/* Out of memory is waited for this long, 10 ms at a time, before the job is given up. */
enum { NO_MEMORY_TRIES = 6000 };
enum { ASK_AGAIN_MS = 1000 };
/* Slots that can be waited for at once: a thread each. */
enum { WAITING_MAX = 65536 };
/* Index runs of a process are sorted; what is found in none was never written to. */
struct run { u32 pid, unused; u64 start, pages, slot; };
struct waiter { i64 fd; u64 address; };
struct pollfd { int fd; short events, revents; };
struct uffd_msg { u8 event, r1; u16 r2; u32 r3; u64 a, b, c; };

static struct space *spaces;
static u64 space_count, space_room;
static struct pollfd *polled;
static u64 polled_room;
static struct waiter *waiting;
static u64 waiting_count;
static const volatile u8 *state;
static u64 slots;
static const struct run *runs;
static u64 run_count;
static u8 *buffer;
static i64 store;
static int agent_gone, no_memory;

static struct space *add_space(i64 fd)
{
	spaces = grown(spaces, space_count, &space_room, sizeof(*spaces));
	struct space *s = spaces + space_count++;
	memset(s, 0, sizeof(*s));
	s->fd = fd;
	return s;
}

/* The process has ended, or has all its pages. */
static void drop_space(struct space *s)
{
	call1(SYS_close, s->fd);
	s->fd = -1;
	s->count = 0;
}

#include "handover.h"

/* Bytes done, 0 for "read what has happened first", or less than 0 when the process is gone. */
static i64 fill(struct space *s, u64 address, u64 slot, u64 pages, int zero)
{
	struct { u64 dst, src, length, mode; i64 done; } copy;
	struct { u64 start, length, mode; i64 done; } zeros;
	int absent = 0;

	for (;;) {
		i64 result, done;
		u64 bytes = pages * PAGE;
		if (zero) {
			zeros.start = address;
			zeros.length = bytes;
			zeros.mode = 0;
			zeros.done = 0;
			result = call3(SYS_ioctl, s->fd, UFFDIO_ZEROPAGE, &zeros);
			done = zeros.done;
		} else {
			u64 got = 0;
			while (got < bytes) {
				i64 n = call4(SYS_pread, store, buffer + got, bytes - got,
					      slot * PAGE + got);
				if (n <= 0 && n != EINTR_)
					give_up();
				if (n > 0)
					got += n;
			}
			copy.dst = address;
			copy.src = (u64)buffer;
			copy.length = bytes;
			copy.mode = 0;
			copy.done = 0;
			result = call3(SYS_ioctl, s->fd, UFFDIO_COPY, &copy);
			done = copy.done;
		}
		if (result == 0 || done > 0) {
			no_memory = 0;
			return result == 0 ? (i64)bytes : done;
		}
		switch (result) {
		case EAGAIN_:
			return 0;
		case EEXIST_: {
			/* Somebody else has filled it in; whoever waits for it looks again. */
			struct { u64 start, length; } one = {address, PAGE};
			call3(SYS_ioctl, s->fd, UFFDIO_WAKE, &one);
			return PAGE;
		}
		case ENOENT_:
			/*
			 * Not one mapping any more: the part that still is, or nothing. A mapping that
			 * has just moved is looked for before the kernel says EAGAIN for the news of it
			 * (mm/userfaultfd.c, mfill_atomic), so that only the second word counts.
			 */
			if (pages == 1 && absent++)
				return PAGE;
			if (pages > 1)
				pages /= 2;
			continue;
		case ESRCH_:
		case ENOSPC_:
			return -1;
		case ENOMEM_:
			if (no_memory++ < NO_MEMORY_TRIES) {
				i64 pause[2] = {0, 10000000};
				call2(SYS_nanosleep, pause, 0);
				return 0;
			}
		}
		give_up();
	}
}

/* How many pages from there on, up to a maximum, are in the state that the first was seen in. */
static u64 alike(u64 slot, u64 pages, u8 seen)
{
	u64 n = 1;
	while (n < pages && state[slot + n] == seen)
		n++;
	return n;
}

static u64 smaller(u64 a, u64 b)
{
	return a < b ? a : b;
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
				call3(SYS_write, 4, &slot, sizeof(slot));
			return 0;
		}
		done = fill(s, address, slot, seen == ZERO ? 1 : alike(slot, most, seen), seen == ZERO);
		if (done > 0)
			cut(s, address, address + done);
	}
	if (done < 0)
		drop_space(s);
	return done != 0;
}

static struct space *space_of(i64 fd)
{
	for (u64 i = 0; i < space_count; i++)
		if (spaces[i].fd == fd)
			return spaces + i;
	return 0;
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

/* One event of one process; 0 when there was none. */
static int event(u64 number)
{
	struct uffd_msg message;
	struct space *s = spaces + number;
	i64 got = call3(SYS_read, s->fd, &message, sizeof(message));
	if (got != sizeof(message))
		return 0;
	switch (message.event) {
	case PAGEFAULT: {
		u64 address = message.b & ~(PAGE - 1);
		if (serve(s, address, 1))
			break;
		if (waiting_count == WAITING_MAX)
			give_up();
		waiting[waiting_count++] = (struct waiter){s->fd, address};
		break;
	}
	case FORK: {
		struct space *child = add_space((u32)message.a);
		s = spaces + number;
		for (u64 i = 0; i < s->count; i++)
			insert(child, i, s->ranges[i]);
		child->shared = s->shared = 1;
		break;
	}
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

/* A step of what nobody has asked for yet; 0 when there is nothing to do before the state changes. */
static int ahead(struct space *s)
{
	if (s->stalled)
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
			if (done < 0)
				drop_space(s);
			if (done > 0) {
				cut(s, from, from + done);
				if (!s->shared && seen == STORED && done >= 16 * (i64)PAGE)
					call4(SYS_fallocate, store, PUNCH_KEEP, slot * PAGE, done);
			}
			s->cursor = from + (done > 0 ? done : 0);
			return 1;
		}
	}
	s->stalled = 1;
	s->cursor = 0;
	return 0;
}

/* The two ends that are not processes, then each process. */
static u64 watch(i64 control, i64 criu)
{
	while (polled_room < space_count + 2)
		polled = grown(polled, polled_room, &polled_room, sizeof(*polled));
	polled[0] = (struct pollfd){agent_gone ? -1 : control, POLLIN_, 0};
	polled[1] = (struct pollfd){criu, POLLIN_, 0};
	for (u64 i = 0; i < space_count; i++)
		polled[2 + i] = (struct pollfd){spaces[i].fd, POLLIN_, 0};
	return space_count + 2;
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

__attribute__((used)) void pager(u64 *stack)
{
	char **argv = (char **)(stack + 1);
	static const u64 all_signals = ~0UL;
	/* A want that nobody reads is SIGPIPE: no signal may end us before the job, which would read zeros. */
	call4(SYS_sigprocmask, 0, &all_signals, 0, 8);
	if (stack[0] != 4 || call1(SYS_chdir, argv[1]) < 0)
		leave(2);
	i64 criu = listen_for_criu();
	int accepted = 0, finished = 0;
	kill_file = call3(SYS_open, argv[3], O_WRONLY_ | O_CLOEXEC_, 0);
	if (kill_file < 0 || call1(SYS_chdir, argv[2]) < 0)
		leave(2);
	store = call3(SYS_open, "store", O_CLOEXEC_ | 2, 0);
	if (store < 0)
		leave(2);
	/* Who listens for wants may be slow: a want that finds no room is asked for again. */
	call3(SYS_fcntl, 4, F_SETFL_, O_NONBLOCK_);
	buffer = map(AT_ONCE * PAGE);
	waiting = map(WAITING_MAX * sizeof(*waiting));
	if (call3(SYS_write, 4, "l", 1) != 1)
		leave(2);

	int busy = 0;
	for (;;) {
		u64 count = watch(3, criu);
		i64 ready = call3(SYS_poll, polled, count, busy ? 0 : waiting_count ? ASK_AGAIN_MS : -1);
		int happened = 0;
		if (ready < 0 && ready != EINTR_)
			give_up();
		if (ready > 0 && polled[0].revents) {
			char news[512];
			agent_gone = call3(SYS_read, 3, news, sizeof(news)) == 0;
			for (u64 i = 0; i < space_count; i++)
				spaces[i].stalled = 0;
		}
		for (u64 i = 2; ready > 0 && i < count; i++)
			if (polled[i].revents && event(i - 2))
				happened = 1;
		if (ready > 0 && polled[1].revents && !accepted) {
			i64 client = call3(SYS_accept, criu, 0, 0);
			call1(SYS_close, criu);
			criu = client;
			accepted = 1;
			load();
		} else if (ready > 0 && polled[1].revents) {
			int said = from_criu(criu);
			if (said < 0) {
				call3(SYS_write, kill_file, "1", 1);
				leave(1);
			}
			if (said > 0) {
				finished = 1;
				call1(SYS_close, criu);
				criu = -1;
			}
		}
		/* Who did not wait has not waited in vain. */
		if (waiting_count)
			serve_waiting(ready == 0 && !busy);
		if (!finished) {
			if (agent_gone && !accepted)
				leave(1);
			/* Nobody brings what the restore waits for. */
			if (agent_gone && waiting_count && ready == 0)
				give_up();
			continue;
		}
		busy = happened;
		for (u64 i = 0; !happened && i < space_count; i++)
			if (spaces[i].fd >= 0 && ahead(spaces + i))
				busy = 1;
		if (let_go())
			leave(0);
		if (agent_gone && !busy)
			give_up();
	}
}

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %rbp, %rbp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call pager\n");
