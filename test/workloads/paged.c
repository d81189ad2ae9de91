/*
 * usage: paged SOCKET PAGES WHAT [SEED]
 * A process whose pages come from a pager: speaks CRIU's side of the protocol (criu/uffd.c), then does
 * to its memory what WHAT names and says "right" when every byte was what it had to be. It says
 * "at ADDRESS" first and goes on with each line of its standard input.
 *
 * Page P holds the words P * 1000003 + 1, and so on; each seventh one, from the third on, is zeros.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define RESTORE_FINISHED 0x52535446
enum { PAGE = 4096, WORDS = PAGE / 8, THREADS = 4, CHILDREN = 600, ROUNDS = 400, CHUNK = 16 };

static char *region;
static long pages;
/* Where each page is now, or 0 when it was unmapped; and whether it was dropped and is zeros. */
static char **place;
static char *dropped;

static void die(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

static void *check(long ok, const char *what)
{
	if (ok == -1)
		die(what);
	return (void *)ok;
}

static void say(const char *word)
{
	puts(word);
	fflush(stdout);
}

static void wait_for_line(void)
{
	char line[64];

	if (!fgets(line, sizeof line, stdin))
		_exit(2);
}

static void verify_at(const char *at, long page, int is_zero)
{
	const volatile uint64_t *words = (const volatile uint64_t *)at;

	for (long i = 0; i < WORDS; i++) {
		uint64_t expected = is_zero || page % 7 == 3 ? 0 : page * 1000003 + i + 1;

		if (words[i] == expected)
			continue;
		printf("page %ld word %ld: %lx instead of %lx\n", page, i, words[i], expected);
		fflush(stdout);
		_exit(1);
	}
}

static void verify(long page)
{
	if (place[page])
		verify_at(place[page], page, dropped[page]);
}

static void verify_all(void)
{
	for (long page = 0; page < pages; page++)
		verify(page);
}

static void send_descriptor(int sock, int fd)
{
	char dummy = 0, control[CMSG_SPACE(sizeof fd)] = { 0 };
	struct iovec piece = { &dummy, 1 };
	struct msghdr header = {
		.msg_iov = &piece, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof control,
	};
	struct cmsghdr *one = CMSG_FIRSTHDR(&header);

	one->cmsg_level = SOL_SOCKET;
	one->cmsg_type = SCM_RIGHTS;
	one->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(one), &fd, sizeof fd);
	check(sendmsg(sock, &header, 0), "sendmsg");
}

/* Registers the region and hands it over, as a restored process does. */
static int hand_over(const char *path)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP |
			    UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMOVE,
	};
	struct uffdio_register range = {
		.range = { (uintptr_t)region, pages * PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), pid = 7;
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	check(fd, "userfaultfd");
	check(ioctl(fd, UFFDIO_API, &api), "UFFDIO_API");
	check(ioctl(fd, UFFDIO_REGISTER, &range), "UFFDIO_REGISTER");
	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	check(connect(sock, (struct sockaddr *)&address, sizeof address), "connect");
	check(send(sock, &pid, sizeof pid, 0), "send");
	send_descriptor(sock, fd);
	close(fd);
	return sock;
}

static void finish(int sock)
{
	int word = RESTORE_FINISHED;

	check(send(sock, &word, sizeof word, 0), "send");
	close(sock);
}

static char *fresh(void *at, long count)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0);

	return check((long)mmap(at, count * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0), "mmap");
}

static void drop(long page, long count)
{
	check(madvise(place[page], count * PAGE, MADV_DONTNEED), "madvise");
	memset(dropped + page, 1, count);
}

static void unmap(long page, long count)
{
	check(munmap(place[page], count * PAGE), "munmap");
	for (long i = page; i < page + count; i++)
		place[i] = 0;
}

/* `to` is given up for it. */
static void move(long page, long count, char *to)
{
	char *from = place[page];

	check((long)mremap(from, count * PAGE, count * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to), "mremap");
	for (long i = 0; i < count; i++)
		place[page + i] = to + i * PAGE;
}

static pid_t fork_one(void)
{
	pid_t child = fork();

	check(child, "fork");
	return child;
}

static void join_child(pid_t child)
{
	int status;

	check(waitpid(child, &status, 0), "waitpid");
	if (status != 0)
		_exit(WEXITSTATUS(status) | 1);
}

/* All pages, each thread in an order of its own. */
static void *walk(void *argument)
{
	long step[THREADS] = { 1, pages - 1, 7, 11 };
	long me = (long)argument, page = me;

	for (long i = 0; i < pages; i++, page = (page + step[me]) % pages)
		verify(page);
	return 0;
}

static void *touch_first(void *argument)
{
	(void)argument;
	verify(0);
	return 0;
}

/* What the first thread meets when its page was taken away under it: zeros of a new mapping. */
static void *touch_gone(void *argument)
{
	verify_at(argument, 0, 1);
	return 0;
}

static void in_threads(int count, void *(*work)(void *), void *argument, void (*meanwhile)(void))
{
	pthread_t threads[THREADS];

	for (long i = 0; i < count; i++)
		pthread_create(threads + i, 0, work, argument ? argument : (void *)i);
	meanwhile();
	for (long i = 0; i < count; i++)
		pthread_join(threads[i], 0);
}

static void nothing(void)
{
}

static void on_alarm(int number)
{
	(void)number;
}

static void change(void)
{
	long part = pages / 8;

	drop(part, part);
	move(3 * part, part, fresh(0, part));
	unmap(5 * part, part);
	verify_at(fresh(region + 5 * part * PAGE, part), 0, 1);
	/* The end of what is moved is cut off. */
	check((long)mremap(place[6 * part], part * PAGE, part / 2 * PAGE, 0), "mremap");
	for (long page = 6 * part + part / 2; page < 7 * part; page++)
		place[page] = 0;
}

static void forks(void)
{
	pid_t child = fork_one();

	if (child == 0) {
		pid_t grandchild;

		drop(1, 3);
		if ((grandchild = fork_one()) == 0) {
			unmap(8, 2);
			verify_all();
			_exit(0);
		}
		verify_all();
		join_child(grandchild);
		_exit(0);
	}
	move(16, 4, fresh(0, 4));
	verify_all();
	join_child(child);
}

static void unmap_under_it(void)
{
	wait_for_line();
	unmap(0, 1);
	fresh(region, 1);
}

static void move_under_it(void)
{
	wait_for_line();
	move(0, 1, fresh(0, 1));
	fresh(region, 1);
}

static void under_it(void (*take_away)(void))
{
	in_threads(1, touch_gone, region, take_away);
	say("let go");
}

static void many_children(void)
{
	for (int i = 0; i < CHILDREN; i++) {
		pid_t child = fork_one();

		if (child == 0)
			_exit(0);
		join_child(child);
	}
	say("forked");
}

/* Chunks of the second half are moved, dropped, unmapped and forked at random. */
static void chaos(void)
{
	long half = pages / 2, chunks = half / CHUNK;
	char *spare = fresh(0, CHUNK);

	for (int i = 0; i < ROUNDS; i++) {
		long page = half + random() % chunks * CHUNK, what = random() % 16;
		char *before = place[page];
		pid_t child;

		if (!before)
			continue;
		if (what == 0) {
			drop(page, 1 + random() % CHUNK);
		} else if (what == 1) {
			unmap(page, CHUNK);
		} else if (what == 2) {
			if ((child = fork_one()) == 0) {
				for (long one = half; one < pages; one += 1 + random() % 8)
					verify(one);
				_exit(0);
			}
			join_child(child);
		} else if (what == 3) {
			verify(page + random() % CHUNK);
		} else {
			move(page, CHUNK, spare);
			spare = fresh(before, CHUNK);
		}
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 3 ? argv[3] : "";
	struct itimerval often = { { 0, 2000 }, { 0, 2000 } };
	int sock;

	pages = argc > 3 ? atol(argv[2]) : 0;
	srandom(argc > 4 ? atoi(argv[4]) : 1);
	region = fresh(0, pages);
	check(madvise(region, pages * PAGE, MADV_NOHUGEPAGE), "madvise");
	place = calloc(pages, sizeof *place);
	dropped = calloc(pages, 1);
	for (long page = 0; page < pages; page++)
		place[page] = region + page * PAGE;
	printf("at %ld\n", (long)region);
	fflush(stdout);
	wait_for_line();
	sock = hand_over(argv[1]);
	if (strcmp(what, "unfinished") == 0) {
		in_threads(1, touch_first, 0, nothing);
	} else if (strcmp(what, "broken") == 0) {
		close(sock);
		pause();
	}
	finish(sock);
	if (strcmp(what, "threads") == 0)
		in_threads(THREADS, walk, 0, nothing);
	else if (strcmp(what, "change") == 0)
		change();
	else if (strcmp(what, "change-threads") == 0)
		in_threads(1, touch_first, 0, change);
	else if (strcmp(what, "fork") == 0)
		forks();
	else if (strcmp(what, "touch") == 0)
		in_threads(1, touch_first, 0, nothing);
	else if (strcmp(what, "unmap-under") == 0)
		under_it(unmap_under_it);
	else if (strcmp(what, "move-under") == 0)
		under_it(move_under_it);
	else if (strcmp(what, "children") == 0)
		many_children();
	else if (strcmp(what, "chaos") == 0)
		in_threads(1, touch_first, 0, chaos);
	else if (strcmp(what, "alarm") == 0) {
		sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, 0);
		setitimer(ITIMER_REAL, &often, 0);
		touch_first(0);
		setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, 0);
	} else
		wait_for_line();
	verify_all();
	say("right");
	return 0;
}
