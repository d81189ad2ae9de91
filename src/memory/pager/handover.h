/*
 * How CRIU hands processes over, and what the agent has written down of their pages: the end of
 * CRIU's criu/uffd.c (prepare_uffds, ud_open, lazy_sk_read_event) that `criu restore` talks to.
 */
#define RESTORE_FINISHED 0x52535446

/* Pages side by side of one process, and their slots. */
struct run { u32 pid, unused; u64 start, pages, slot; };

static const struct run *runs;
static u64 run_count;
static u64 slots;
/* Who listens for CRIU, then CRIU, then nobody. */
static i64 criu;

static void listen_for_criu(void)
{
	struct { u16 family; char path[108]; } address;

	memset(&address, 0, sizeof(address));
	address.family = AF_UNIX_;
	memcpy(address.path, "lazy-pages.socket", 17);
	criu = call3(SYS_socket, AF_UNIX_, STREAM_CLOEXEC, 0);
	call1(SYS_unlink, address.path);
	if (criu < 0 || call3(SYS_bind, criu, &address, 2 + 17) < 0 || call2(SYS_listen, criu, 1) < 0)
		leave(2);
}

static const void *mapped(const char *path, u64 *bytes)
{
	static u64 status[18];
	i64 got, fd = call3(SYS_open, path, O_CLOEXEC_, 0);

	if (fd < 0 || call2(SYS_fstat, fd, status) < 0)
		give_up();
	*bytes = status[6];
	if (*bytes == 0)
		return 0;
	got = call(SYS_mmap, 0, *bytes, PROT_R, MAP_SHARED_, fd, 0);
	if (failed(got))
		give_up();
	call1(SYS_close, fd);
	return (const void *)got;
}

static void load(void)
{
	u64 bytes;

	state = mapped("state", &slots);
	runs = mapped("index", &bytes);
	run_count = bytes / sizeof(struct run);
	for (u64 i = 0; i < run_count; i++)
		if (runs[i].slot + runs[i].pages > slots)
			give_up();
}

static void adopt(u32 pid, i64 fd)
{
	struct space *s = add_space(fd);

	for (u64 i = 0; i < run_count; i++) {
		const struct run *r = runs + i;

		if (r->pid == pid)
			insert(s, s->count, (struct range){
				r->start, r->start + r->pages * PAGE, r->slot,
			});
	}
}

/* A process from CRIU: its number, then its descriptor. 1 when that was the last, -1 for an end. */
static int from_criu(void)
{
	char dummy;
	int pid;
	struct { u64 length; int level, type, fd, unused; } control = {0, 0, 0, 0, 0};
	struct { void *base; u64 length; } piece = {&dummy, 1};
	struct {
		void *name;
		u64 name_length;
		void *pieces;
		u64 count;
		void *control;
		u64 control_length;
		u64 flags;
	} header = {0, 0, &piece, 1, &control, sizeof(control), 0};

	if (call(SYS_recvfrom, criu, (i64)&pid, sizeof(pid), WAITALL, 0, 0) != sizeof(pid))
		return -1;
	if (pid == RESTORE_FINISHED)
		return 1;
	if (pid < 0)
		return 0;
	if (call3(SYS_recvmsg, criu, &header, CMSG_CLOEXEC_) != 1 || control.length != 20)
		return -1;
	adopt(pid, control.fd);
	return 0;
}
