/* Puts pages into a process: userfaultfd(2), mm/userfaultfd.c. */

#define UFFDIO_WAKE 0x8010aa02UL
#define UFFDIO_COPY 0xc028aa03UL
#define UFFDIO_ZEROPAGE 0xc020aa04UL
#define UFFDIO_WRITEPROTECT 0xc018aa06UL

/* Pages copied at once, for a fault and in the background: CRIU copies 16 and up to 1,024. */
enum { AROUND_FAULT = 16, AT_ONCE = 256 };
/* Out of memory is waited for this long, 10 ms at a time, before the job is given up. */
enum { NO_MEMORY_TRIES = 6000 };

static u8 *buffer;
static i64 store;
/* A mapping was being changed: what was refused is to be tried again soon. */
static int changing;
static int no_memory;

/* Whoever waits for a page looks again. */
static void wake(const struct space *s, u64 address)
{
	struct { u64 start, length; } one = {address, PAGE};

	call3(SYS_ioctl, s->fd, UFFDIO_WAKE, &one);
}

/* Nothing is changed in a process that lives: nobody has asked for write protection of a page. */
static int has_ended(const struct space *s)
{
	struct { u64 start, length, mode; } nobody = {s->ranges->start, PAGE, 2};

	return call3(SYS_ioctl, s->fd, UFFDIO_WRITEPROTECT, &nobody) == ESRCH_;
}

static void read_store(u64 slot, u64 pages)
{
	for (u64 got = 0; got < pages * PAGE;) {
		i64 n = call4(SYS_pread, store, buffer + got, pages * PAGE - got, slot * PAGE + got);

		if (n > 0)
			got += n;
		else if (n != EINTR_)
			give_up();
	}
}

/* Bytes done, or why none were. */
static i64 copy_in(const struct space *s, u64 address, u64 slot, u64 pages)
{
	struct { u64 to, from, length, mode; i64 done; } copy = {
		address, (u64)buffer, pages * PAGE, 0, 0,
	};
	i64 result;

	read_store(slot, pages);
	result = call3(SYS_ioctl, s->fd, UFFDIO_COPY, &copy);
	return result == 0 || copy.done > 0 ? copy.done : result;
}

static i64 zero_in(const struct space *s, u64 address, u64 pages)
{
	struct { u64 start, length, mode; i64 done; } zeros = {address, pages * PAGE, 0, 0};
	i64 result = call3(SYS_ioctl, s->fd, UFFDIO_ZEROPAGE, &zeros);

	return result == 0 || zeros.done > 0 ? zeros.done : result;
}

/* Bytes done, 0 for "read what has happened first", or less than 0 when the process is gone. */
static i64 fill(const struct space *s, u64 address, u64 slot, u64 pages, int zero)
{
	int absent = 0;

	for (;;) {
		i64 done = zero ? zero_in(s, address, pages) : copy_in(s, address, slot, pages);

		if (done > 0) {
			no_memory = 0;
			return done;
		}
		switch (done) {
		case EAGAIN_:
			changing = 1;
			return 0;
		case EEXIST_:
			/* Somebody else has filled it in. */
			wake(s, address);
			return PAGE;
		case ENOENT_:
			/* Not one mapping any more: the part that still is, or nothing. */
			if (pages > 1) {
				pages /= 2;
				continue;
			}
			/*
			 * The kernel looks for events that nobody has read before it looks for the
			 * mapping: it may have moved in between. Then it says so now.
			 */
			if (!absent++)
				continue;
			wake(s, address);
			return PAGE;
		case ESRCH_:
		case ENOSPC_:
			return -1;
		case ENOMEM_:
			if (no_memory++ < NO_MEMORY_TRIES) {
				i64 pause[2] = {0, 10000000};

				call2(SYS_nanosleep, pause, 0);
				changing = 1;
				return 0;
			}
		}
		give_up();
	}
}
