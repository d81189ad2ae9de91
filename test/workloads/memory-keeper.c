/*
 * usage: memory-keeper PIDFILE VERDICT [NAME=VALUE ...]
 *   size=64 (MiB, all kinds and processes together)  zero=0 (MiB that are written to and stay zero)
 *   dirty=2 (percent of its pages that are changed a second)  processes=1  threads=1  seed=1
 *   kinds=anon,sparse,shared,memfd,private,file,huge,thp,guard,locked,churn (all of them)
 * Fills memory by a rule, goes on changing it, and judges itself: each page must be what its number of
 * changes says. SIGUSR1 writes the verdict so far; SIGTERM writes it and ends. The first word is PASS
 * or FAIL. PIDFILE appears when all is filled. Beside it are files that the job maps, and one with the
 * number of all changes: memory that is old as a whole would agree with itself.
 */
#include "memory-keeper.h"

/* ---- making it ---- */

static int wants(const char *kind)
{
	size_t length = strlen(kind);
	for (const char *at = kinds; (at = strstr(at, kind)) != NULL; at += length)
		if ((at == kinds || at[-1] == ',') && (at[length] == 0 || at[length] == ','))
			return 1;
	return 0;
}

static void note_absent(const char *kind)
{
	size_t length = strlen(absent);
	snprintf(absent + length, sizeof absent - length, ", no %s", kind);
}

static struct region *add(const char *kind, void *base, size_t bytes, enum sharing sharing)
{
	if (base == NULL) {
		note_absent(kind);
		return NULL;
	}
	struct region *r = regions + region_count;
	size_t pages = bytes / PAGE;
	*r = (struct region){ kind, base, pages, NULL, 1, sharing, region_count++, 1 };
	r->changes = map(pages * sizeof *r->changes + PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (r->changes == NULL)
		die("mmap");
	return r;
}

static void fill_all(struct region *r)
{
	for (size_t page = 0; r && page < r->pages; page += r->step)
		fill(r->base + page * PAGE, r->number, page, r->changes[page] = 1);
}

static int file_beside(const char *kind, size_t bytes)
{
	char path[512];
	snprintf(path, sizeof path, "%s.%s", pid_path, kind);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, bytes) != 0)
		die(path);
	return fd;
}

static void make_mapped(size_t bytes)
{
	int fd;
	if (wants("shared"))
		fill_all(add("shared", map(bytes, MAP_SHARED | MAP_ANONYMOUS, -1), bytes, SHARED));
	if (wants("memfd")) {
		fd = memfd_create("keeper", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, bytes) != 0)
			die("memfd");
		fill_all(add("memfd", map(bytes, MAP_SHARED, fd), bytes, SHARED));
	}
	if (wants("file")) {
		fd = file_beside("file", bytes);
		fill_all(add("file", map(bytes, MAP_SHARED, fd), bytes, SHARED));
		close(fd);
	}
	if (wants("private")) {
		char page[PAGE];
		fd = file_beside("private", bytes);
		struct region *r = add("private", map(bytes, MAP_PRIVATE, fd), bytes, OWN);
		for (size_t i = 0; r && i < r->pages; i++) {
			fill(page, r->number, i, r->changes[i] = 1);
			if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
				die("write");
		}
		close(fd);
	}
}

static void make_guarded(void)
{
	guarded = map(5 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (guarded == NULL)
		die("mmap");
	for (int page = 0; page < 5; page++)
		fill(guarded + page * PAGE, 99, page, 1);
	mprotect(guarded + PAGE, PAGE, PROT_NONE);
	has_guards = madvise(guarded + 3 * PAGE, PAGE, GUARD_INSTALL) == 0;
	if (!has_guards)
		note_absent("guard pages");
}

static void make_all(void)
{
	int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
	size_t part = size_bytes / 16 / processes / PAGE * PAGE;
	struct region *r;

	if (part < 16 * PAGE)
		part = 16 * PAGE;
	if (wants("anon"))
		fill_all(add("anon", map(part * 8, anonymous, -1), part * 8, OWN));
	if (wants("sparse")) {
		r = add("sparse", map(part * 16, anonymous | MAP_NORESERVE, -1), part * 16, OWN);
		r->step = 37;
		fill_all(r);
	}
	make_mapped(part * processes);
	if (wants("locked")) {
		fill_all(r = add("locked", map(part, anonymous, -1), part, OWN));
		if (mlock(r->base, part) != 0)
			die("mlock");
	}
	if (zero_bytes > 0) {
		r = add("zero", map(zero_bytes, anonymous, -1), zero_bytes, OWN);
		memset(r->base, 0, zero_bytes);
		r->changing = 0;
	}
	if (wants("guard"))
		make_guarded();
}

/* Of the first process alone: each of them is 2 MiB, and more than a few there may not be. */
static void make_huge(void)
{
	size_t huge = size_bytes / 16 / HUGE_BYTES * HUGE_BYTES;
	int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;

	if (huge < HUGE_BYTES)
		huge = HUGE_BYTES;
	if (wants("huge"))
		fill_all(add("huge", map(huge, anonymous | MAP_HUGETLB, -1), huge, OWN));
	if (wants("thp")) {
		char *at = map(2 * huge, anonymous, -1);
		at += -(uintptr_t)at & (HUGE_BYTES - 1);
		madvise(at, huge, MADV_HUGEPAGE);
		fill_all(add("thp", at, huge, OWN));
	}
}

/* Each process its own, because it begins empty. */
static void make_churned(void)
{
	chunk_count = processes > 8 ? 2 : CHUNKS / processes;
	size_t bytes = (chunk_count * 2 + 2) * CHUNK * PAGE;
	char *at = map(bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	munmap(at, bytes);
	/* With gaps, so that they are mappings of their own. */
	for (int i = 0; i < chunk_count; i++)
		map_at(chunks[i] = at + 2 * i * CHUNK * PAGE, PROT_READ | PROT_WRITE);
	map_at(spare = at + 2 * chunk_count * CHUNK * PAGE, PROT_NONE);
}

/* ---- running ---- */

static void start_threads(void)
{
	pthread_t thread;
	if (wants("churn"))
		make_churned();
	for (intptr_t i = 0; i <= threads; i++) {
		counted[i] = 0;
		if (!count_file(i, &counted[i], 1) || pthread_create(&thread, NULL, work, (void *)i) != 0)
			die("thread");
	}
}

static __attribute__((noreturn)) void be_child(int number, const sigset_t *signals, char ready)
{
	struct verdict v;
	self = number;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	start_threads();
	v = (struct verdict){ number, ready, "" };
	for (;;) {
		if (write(answers[1], &v, sizeof v) != sizeof v)
			die("answer");
		while (sigwaitinfo(signals, NULL) != SIGUSR1)
			;
		judge(&v);
	}
}

static void read_options(int argc, char **argv)
{
	pid_path = argv[1];
	verdict_path = argv[2];
	for (int i = 3; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		if (value == NULL)
			exit(2);
		*value++ = 0;
		if (!strcmp(argv[i], "size"))
			size_bytes = atol(value) << 20;
		else if (!strcmp(argv[i], "zero"))
			zero_bytes = atol(value) << 20;
		else if (!strcmp(argv[i], "dirty"))
			dirty = atof(value);
		else if (!strcmp(argv[i], "processes"))
			processes = atoi(value);
		else if (!strcmp(argv[i], "threads"))
			threads = atoi(value);
		else if (!strcmp(argv[i], "seed"))
			seed = atol(value);
		else if (!strcmp(argv[i], "kinds"))
			kinds = value;
		else
			exit(2);
	}
	if (processes < 1 || processes > PROCESSES || threads < 1 || threads > THREADS)
		exit(2);
}

int main(int argc, char **argv)
{
	static pid_t children[PROCESSES];
	sigset_t signals;
	struct verdict ready;

	if (argc < 3)
		return 2;
	read_options(argc, argv);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (pipe2(answers, O_CLOEXEC) != 0)
		die("pipe");
	make_all();
	for (int i = 1; i < processes; i++) {
		children[i] = fork();
		if (children[i] == 0)
			be_child(i, &signals, 0);
	}
	for (int i = 1; i < processes; i++)
		if (read(answers[0], &ready, sizeof ready) != sizeof ready)
			die("a child");
	make_huge();
	start_threads();
	FILE *file = fopen(pid_path, "w");
	if (file == NULL || fprintf(file, "%d\n", getpid()) < 0 || fclose(file) != 0)
		die(pid_path);
	for (;;) {
		int got = sigwaitinfo(&signals, NULL);
		if (got < 0)
			continue;
		judge_all(children);
		if (got == SIGTERM)
			break;
	}
	for (int i = 1; i < processes; i++)
		kill(children[i], SIGKILL);
	return 0;
}
