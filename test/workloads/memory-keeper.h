/* What memory-keeper.c keeps: the rule of its pages, the verdict on them, and how they change. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / 8, REGIONS = 16, THREADS = 16, PROCESSES = 64 };
enum { CHUNK = 64, CHUNKS = 32, TICK_MS = 50, ANSWER_MS = 120000, HUGE_BYTES = 2 << 20 };
enum { GUARD_INSTALL = 102 };
/* How a page comes to its content: by its owner alone, or by one process of all. */
enum sharing { OWN, SHARED };

struct region {
	const char *kind;
	char *base;
	size_t pages;
	/* The number of changes of each page; 0 means zeros. Only `step`th pages are ever touched. */
	uint32_t *changes;
	size_t step;
	enum sharing sharing;
	int number, changing;
};

static struct region regions[REGIONS];
static int region_count, self, processes = 1, threads = 1, answers[2];
static uint64_t seed = 1;
static double dirty = 2;
static size_t size_bytes = 64 << 20, zero_bytes;
static const char *kinds = "anon,sparse,shared,memfd,private,file,huge,thp,guard,locked,churn";
static const char *pid_path, *verdict_path;
static char absent[128];
static pthread_rwlock_t checking = PTHREAD_RWLOCK_INITIALIZER;
static uint64_t counted[THREADS + 1];

/* Chunks of memory that are moved, unmapped and mapped anew; `spare` is where the next one goes. */
static char *chunks[CHUNKS], *spare;
static int chunk_count;
static uint32_t chunk_changes[CHUNKS][CHUNK], churned;
static char *guarded;
static int has_guards;

static __attribute__((noreturn)) void die(const char *what)
{
	perror(what);
	exit(2);
}

static uint64_t mixed(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* What was written before the first fork is the same in all processes. */
static uint64_t key_of(int region, size_t page, uint32_t change)
{
	uint64_t owner = change > 1 ? self + 1 : 0;
	return mixed(seed + mixed(region * 1000003u + mixed(page + mixed(change + (owner << 32)))));
}

static void fill(char *at, int region, size_t page, uint32_t change)
{
	uint64_t x = key_of(region, page, change), *word = (uint64_t *)at;
	for (int i = 0; i < WORDS; i++)
		word[i] = x = x * 0x9e3779b97f4a7c15u + 1;
}

static int is(const char *at, int region, size_t page, uint32_t change)
{
	uint64_t x = key_of(region, page, change);
	const uint64_t *word = (const uint64_t *)at;
	for (int i = 0; i < WORDS; i++) {
		x = x * 0x9e3779b97f4a7c15u + 1;
		if (word[i] != (change == 0 ? 0 : x))
			return 0;
	}
	return 1;
}

/* ---- the verdict ---- */

struct verdict { int process, wrong; char first[200]; };

static void blame(struct verdict *v, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	if (v->wrong++ == 0)
		vsnprintf(v->first, sizeof v->first, format, list);
	va_end(list);
}

static void judge_page(struct verdict *v, const char *kind, const char *at, int region, size_t page,
		       uint32_t change)
{
	if (is(at, region, page, change))
		return;
	for (uint32_t old = change + 2; old-- > 0;) {
		if (change - old > 2000 && change > old)
			break;
		if (is(at, region, page, old)) {
			blame(v, "%s page %zu at %p of process %d is that of change %u, not of %u",
			      kind, page, (void *)at, self, old, change);
			return;
		}
	}
	blame(v, "%s page %zu at %p of process %d is like nothing, should be of change %u%s", kind, page,
	      (void *)at, self, change, is(at, region, page, 0) ? " (zeros)" : "");
}

static int mine(const struct region *r, size_t page)
{
	return r->sharing == OWN || (int)(page % processes) == self;
}

static int faults(char *at)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { at, 1 };
	return process_vm_readv(getpid(), &here, 1, &there, 1, 0) < 0;
}

static void judge_guards(struct verdict *v)
{
	if (guarded == NULL)
		return;
	if (!faults(guarded + PAGE))
		blame(v, "a page without rights can be read in process %d", self);
	if (has_guards && !faults(guarded + 3 * PAGE))
		blame(v, "a guard page can be read in process %d", self);
	mprotect(guarded + PAGE, PAGE, PROT_READ);
	for (int page = 0; page < (has_guards ? 3 : 5); page++)
		judge_page(v, "guarded", guarded + page * PAGE, 99, page, 1);
	judge_page(v, "guarded", guarded + 4 * PAGE, 99, 4, 1);
	mprotect(guarded + PAGE, PAGE, PROT_NONE);
}

static int count_file(int thread, uint64_t *count, int write_it)
{
	char path[512];
	snprintf(path, sizeof path, "%s.counts", pid_path);
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	off_t at = (self * (THREADS + 1) + thread) * sizeof *count;
	ssize_t done = write_it ? pwrite(fd, count, sizeof *count, at) : pread(fd, count, sizeof *count, at);
	close(fd);
	return done == sizeof *count;
}

static void judge(struct verdict *v)
{
	memset(v, 0, sizeof *v);
	v->process = self;
	pthread_rwlock_wrlock(&checking);
	for (int i = 0; i < region_count; i++) {
		struct region *r = regions + i;
		for (size_t page = 0; page < r->pages; page += r->step)
			if (mine(r, page))
				judge_page(v, r->kind, r->base + page * PAGE, r->number, page,
					   r->changes[page]);
	}
	for (int i = 0; i < chunk_count; i++)
		for (int page = 0; page < CHUNK; page++)
			judge_page(v, "churned", chunks[i] + page * PAGE, 100 + i, page,
				   chunk_changes[i][page]);
	judge_guards(v);
	for (int thread = 0; thread <= threads; thread++) {
		uint64_t count = 0;
		if (!count_file(thread, &count, 0) || count != counted[thread])
			blame(v, "process %d counts %lu changes, its file %lu", self,
			      (unsigned long)counted[thread], (unsigned long)count);
	}
	pthread_rwlock_unlock(&checking);
}

static void write_verdict(const struct verdict *all)
{
	char path[512];
	uint64_t changes = 0;
	int wrong = 0;
	snprintf(path, sizeof path, "%s.new", verdict_path);
	FILE *file = fopen(path, "w");
	if (file == NULL)
		die(path);
	for (int i = 0; i < processes; i++)
		wrong += all[i].wrong;
	fprintf(file, "%s\n", wrong ? "FAIL" : "PASS");
	for (int i = 0; i < processes; i++)
		if (all[i].wrong)
			fprintf(file, "%d wrong: %s\n", all[i].wrong, all[i].first);
	for (int thread = 0; thread <= threads; thread++)
		changes += counted[thread];
	fprintf(file, "%lu changes by the first of %d processes%s\n", (unsigned long)changes, processes,
		absent);
	fclose(file);
	rename(path, verdict_path);
}

/* Of all processes; one that does not answer is wrong. */
static void judge_all(const pid_t *children)
{
	static struct verdict all[PROCESSES];
	struct pollfd answer = { .fd = answers[0], .events = POLLIN };
	for (int i = 1; i < processes; i++) {
		all[i] = (struct verdict){ i, 1, "it does not answer" };
		kill(children[i], SIGUSR1);
	}
	judge(all);
	for (int left = processes - 1; left > 0;) {
		struct verdict one;
		int ready = poll(&answer, 1, ANSWER_MS);
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0 || read(answers[0], &one, sizeof one) != sizeof one)
			break;
		all[one.process] = one;
		left--;
	}
	write_verdict(all);
}

/* ---- changing it ---- */

static uint64_t thread_random(uint64_t *state)
{
	return mixed(*state += 0x9e3779b97f4a7c15u);
}

static void change_pages(int thread, uint64_t *random, size_t count)
{
	for (; count > 0; count--) {
		struct region *r = regions + thread_random(random) % region_count;
		size_t page = thread_random(random) % (r->pages / r->step) * r->step;
		/* Each thread has pages of its own, and some stay as they were before the fork. */
		if (!r->changing || !mine(r, page) || (int)(page / processes % threads) != thread)
			continue;
		if (r->sharing == OWN && processes > 1 && (page + self) % 3 == 0)
			continue;
		fill(r->base + page * PAGE, r->number, page, ++r->changes[page]);
		counted[thread]++;
	}
}

static void *map(size_t bytes, int flags, int fd)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

static void map_at(char *at, int rights)
{
	if (mmap(at, CHUNK * PAGE, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		die("mmap");
}

/* A child that sees what its parent has, and ends. */
static void fork_and_look(int i)
{
	pid_t child = fork();
	int status = 0;
	if (child == 0) {
		struct verdict v = { 0 };
		for (int page = 0; page < CHUNK; page++)
			judge_page(&v, "forked", chunks[i] + page * PAGE, 100 + i, page,
				   chunk_changes[i][page]);
		_exit(v.wrong != 0);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (status != 0)
		/* Seen at the next verdict. */
		counted[threads] += 1u << 30;
}

static void churn_once(uint64_t *random)
{
	int i = thread_random(random) % chunk_count, from = thread_random(random) % CHUNK;
	int count = 1 + thread_random(random) % (CHUNK - from);
	char *old = chunks[i];

	counted[threads]++;
	switch (thread_random(random) % 12) {
	case 0:
	case 1:
		if (mremap(old, CHUNK * PAGE, CHUNK * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, spare) != spare)
			die("mremap");
		chunks[i] = spare;
		map_at(spare = old, PROT_NONE);
		return;
	case 2:
		munmap(old, CHUNK * PAGE);
		map_at(old, PROT_READ | PROT_WRITE);
		memset(chunk_changes[i], 0, sizeof chunk_changes[i]);
		return;
	case 3:
	case 4:
		madvise(old + from * PAGE, count * PAGE, MADV_DONTNEED);
		memset(chunk_changes[i] + from, 0, count * sizeof(uint32_t));
		return;
	case 5:
		if (thread_random(random) % 8 == 0)
			fork_and_look(i);
		return;
	default:
		for (int page = from; page < from + count; page++)
			fill(old + page * PAGE, 100 + i, page, chunk_changes[i][page] = ++churned + 1);
	}
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The one that is numbered `threads` churns. */
static void *work(void *argument)
{
	int thread = (int)(intptr_t)argument;
	uint64_t random = seed + self * 1000 + thread;
	size_t pages = 0;
	double due = 0, last = now();

	for (int i = 0; i < region_count; i++)
		pages += regions[i].changing ? regions[i].pages / regions[i].step : 0;
	for (;;) {
		struct timespec pause = { 0, TICK_MS * 1000000 };
		nanosleep(&pause, NULL);
		/* Another host has another clock. */
		double at = now(), passed = at - last;
		last = at;
		due += (passed < 0 || passed > 0.2 ? 0.2 : passed) * pages * dirty / 100;
		pthread_rwlock_rdlock(&checking);
		if (thread == threads)
			for (int i = 0; chunk_count > 0 && i < 4; i++)
				churn_once(&random);
		else
			change_pages(thread, &random, (size_t)due);
		due -= (size_t)due;
		if (!count_file(thread, &counted[thread], 1))
			die("counts");
		pthread_rwlock_unlock(&checking);
	}
	return NULL;
}
