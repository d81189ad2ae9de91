/*
 * Gives a restored job its memory while it runs already. CRIU restores with --lazy-pages and hands
 * over a userfaultfd(2) for each process (criu/uffd.c, send_uffd); this program fills in each page
 * when it is touched, and all others meanwhile, from a store that is on this host or still arriving.
 * While it lives a job may wait for a page but never sees a wrong one; if pages can't come any more
 * it kills the job, because a userfaultfd that is closed too early reads as zeros.
 *
 * usage: pager WORK MEMORY KILL
 *   WORK    where CRIU looks for lazy-pages.socket
 *   MEMORY  holds `store` (pages by slot), `state` (a byte a slot: 0 still to come, 1 in the store,
 *           2 zeros), `index` (struct run: which addresses of which process have which slots);
 *           gets `lost` when the job was killed for want of a page
 *   KILL    the cgroup.kill file of the job's cgroup
 *   3       a byte from whoever fills the store: the state has changed
 *   4       "l" when CRIU may come; then a u64 for each slot that the job waits for
 * Exit status: 0 all pages are there, 1 the restore failed, 2 wrong use, 3 pages were lost and the
 * job was killed. Nothing but SIGKILL ends it before.
 *
 * x86-64 Linux. Built by scripts/build-native.ts; a test rebuilds it and compares.
 * kernel.h stands in for a C library; ranges.h has what is missing where, fill.h how it gets there,
 * spaces.h whose turn it is, handover.h what CRIU says.
 */
#include "kernel.h"
#include "ranges.h"
#include "fill.h"
#include "spaces.h"
#include "handover.h"

enum { CONTROL = 3 };

/* A want that found no room is told again when nothing has happened for this long. */
enum { ASK_AGAIN_MS = 1000 };
/* A change of a mapping is over when the thread that made it has had its turn. */
enum { CHANGE_MS = 1 };

static struct pollfd *polled;
static u64 polled_room;
static int accepted, finished, agent_gone;

static void hear_criu(void)
{
	i64 listener = criu;
	int said;

	if (!accepted) {
		criu = call3(SYS_accept, listener, 0, 0);
		call1(SYS_close, listener);
		accepted = 1;
		load();
		return;
	}
	said = from_criu();
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

static void hear_agent(void)
{
	char news[512];

	agent_gone = call3(SYS_read, CONTROL, news, sizeof(news)) == 0;
	for (u64 i = 0; i < space_count; i++)
		spaces[i].stalled = 0;
}

/* The two ends that are not processes, then each process. */
static u64 watch(void)
{
	while (polled_room < space_count + 2)
		polled = grown(polled, polled_room, &polled_room, sizeof(*polled));
	polled[0] = (struct pollfd){agent_gone ? -1 : CONTROL, POLLIN_, 0};
	polled[1] = (struct pollfd){criu, POLLIN_, 0};
	for (u64 i = 0; i < space_count; i++)
		polled[2 + i] = (struct pollfd){spaces[i].fd, POLLIN_, 0};
	return space_count + 2;
}

/* Takes in what has happened within a time; whether a process did something. */
static int hear(i64 wait_ms)
{
	u64 count = watch();
	i64 ready = call3(SYS_poll, polled, count, wait_ms);
	int happened = 0;

	if (ready < 0 && ready != EINTR_)
		give_up();
	if (ready > 0 && polled[0].revents)
		hear_agent();
	for (u64 i = 2; ready > 0 && i < count; i++)
		if (polled[i].revents && spaces[i - 2].fd >= 0 && event(i - 2))
			happened = 1;
	if (ready > 0 && polled[1].revents)
		hear_criu();
	if (waiting_count)
		serve_waiting(ready == 0 && wait_ms == ASK_AGAIN_MS);
	if (agent_gone && !accepted)
		leave(1);
	/* Nobody brings what the restore waits for. */
	if (agent_gone && !finished && waiting_count && ready == 0 && wait_ms == ASK_AGAIN_MS)
		give_up();
	return happened;
}

static __attribute__((noreturn)) void work(void)
{
	int busy = 0;

	for (;;) {
		int was_changing = changing;

		changing = 0;
		busy = hear(was_changing ? CHANGE_MS : busy ? 0 : waiting_count ? ASK_AGAIN_MS : -1);
		if (!finished)
			continue;
		for (u64 i = 0; !busy && i < space_count; i++)
			busy = ahead(spaces + i);
		if (agent_gone && !busy && !changing) {
			drop_ended(space_count);
			if (!let_go())
				give_up();
		}
		if (let_go()) {
			/* Without it who comes later must think that somebody killed us. */
			call3(SYS_open, "whole", O_CREAT_ | O_WRONLY_, 0600);
			leave(0);
		}
	}
}

/* A signal would close the descriptors, SIGPIPE among them; each process needs one of those. */
static void withstand(void)
{
	u64 all = ~0UL;
	struct { u64 now, most; } files;

	call4(SYS_rt_sigprocmask, SIG_SETMASK_, &all, 0, sizeof(all));
	if (call4(SYS_prlimit64, 0, RLIMIT_NOFILE_, 0, &files) < 0)
		return;
	files.now = files.most;
	call4(SYS_prlimit64, 0, RLIMIT_NOFILE_, &files, 0);
}

__attribute__((used)) void pager(u64 *stack)
{
	char **argv = (char **)(stack + 1);

	withstand();
	if (stack[0] != 4 || call1(SYS_chdir, argv[1]) < 0)
		leave(2);
	listen_for_criu();
	kill_file = call3(SYS_open, argv[3], O_WRONLY_ | O_CLOEXEC_, 0);
	if (kill_file < 0 || call1(SYS_chdir, argv[2]) < 0)
		leave(2);
	store = call3(SYS_open, "store", O_RDWR_ | O_CLOEXEC_, 0);
	if (store < 0)
		leave(2);
	/* Who listens for wants may be slow: a want that finds no room is asked for again. */
	call3(SYS_fcntl, WANTS, F_SETFL_, O_NONBLOCK_);
	buffer = map(AT_ONCE * PAGE);
	waiting = map(WAITING_MAX * sizeof(*waiting));
	if (call3(SYS_write, WANTS, "l", 1) != 1)
		leave(2);
	work();
}

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %rbp, %rbp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call pager\n");
