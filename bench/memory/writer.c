/*
 * A job to be moved: so many MiB of memory of one kind, of which it writes to a part each second.
 * No page is written to twice before all others were, so a rate says how many pages become dirty:
 * the worst case for whoever sends memory ahead. It calls itself bench-full once all is filled.
 *
 * usage: writer MIB random|zero|text PERCENT_PER_SECOND
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MIB = 1 << 20, TICKS_PER_SECOND = 100, ZERO_BAND = 64 };
/* Prime, so that it leads through all pages of any plausible number of MiB before it comes again. */
enum { STRIDE = 1000003 };

static uint64_t state = 88172645463325252ULL;
static char *memory;
static uint64_t pages;

/* xorshift64: no page is like another. */
static uint64_t next(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static void fill_text(char *page)
{
	static const char *const words[] = { "address ", "bucket ", "connection ", "count ",
		"error ", "field ", "host ", "key ", "memory ", "name ", "page ", "process ",
		"request ", "session ", "user ", "value\n" };
	size_t used = 0;

	while (used < PAGE) {
		const char *word = words[next() % 16];
		size_t bytes = strlen(word);

		if (bytes > PAGE - used)
			bytes = PAGE - used;
		memcpy(page + used, word, bytes);
		used += bytes;
	}
}

static void fill_page(char *page, char kind)
{
	uint64_t *words = (uint64_t *)page;

	if (kind == 't') {
		fill_text(page);
		return;
	}
	for (size_t i = 0; i < PAGE / sizeof(*words); i++)
		words[i] = kind == 'r' ? next() : 0;
}

static char *page_at(uint64_t turn)
{
	return memory + turn * STRIDE % pages * PAGE;
}

static void write_page(uint64_t turn, char kind)
{
	char *page = page_at(turn);

	if (kind == 't')
		page[turn % PAGE] = 'a' + turn % 26;
	else
		((uint64_t *)page)[turn % (PAGE / sizeof(uint64_t))] = next();
	/* Memory of zeros stays one: what was written goes back soon, but for a band of a few pages. */
	if (kind == 'z' && turn >= ZERO_BAND)
		memset(page_at(turn - ZERO_BAND), 0, PAGE);
}

static void quit(int signal)
{
	_exit(128 + signal);
}

int main(int argc, char **argv)
{
	const struct timespec tick = { .tv_nsec = 1000000000 / TICKS_PER_SECOND };
	double due = 0, each;
	uint64_t turn = 0;
	char kind;

	if (argc != 4)
		return 2;
	pages = strtoull(argv[1], NULL, 10) * MIB / PAGE;
	kind = argv[2][0];
	each = pages * atof(argv[3]) / 100 / TICKS_PER_SECOND;
	/* As process 1 of its PID namespace it would not hear what it has no handler for. */
	signal(SIGTERM, quit);
	prctl(PR_SET_NAME, "bench-filling");
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (uint64_t i = 0; i < pages; i++)
		fill_page(memory + i * PAGE, kind);
	prctl(PR_SET_NAME, "bench-full");
	for (;;) {
		nanosleep(&tick, NULL);
		/* Time that was lost is not made up for: a freeze must not be followed by a burst. */
		for (due += each; due >= 1; due--)
			write_page(turn++, kind);
	}
}
