/*
 * The kernel without a C library: types, system calls, memory, and the two ways to end.
 * x86-64 Linux.
 */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;
typedef long i64;

enum {
	SYS_read = 0, SYS_write = 1, SYS_open = 2, SYS_close = 3, SYS_fstat = 5, SYS_poll = 7,
	SYS_mmap = 9, SYS_munmap = 11, SYS_rt_sigprocmask = 14, SYS_ioctl = 16, SYS_pread = 17,
	SYS_mremap = 25, SYS_nanosleep = 35, SYS_socket = 41, SYS_accept = 43, SYS_recvfrom = 45,
	SYS_recvmsg = 47, SYS_bind = 49, SYS_listen = 50, SYS_exit = 60, SYS_fcntl = 72,
	SYS_chdir = 80, SYS_unlink = 87, SYS_fallocate = 285, SYS_prlimit64 = 302,
};
enum {
	ENOENT_ = -2, ESRCH_ = -3, EINTR_ = -4, EAGAIN_ = -11, ENOMEM_ = -12, EEXIST_ = -17,
	ENOSPC_ = -28,
};
enum {
	O_RDWR_ = 2, O_WRONLY_ = 1, O_CREAT_ = 0100, O_CLOEXEC_ = 02000000, F_SETFL_ = 4,
	O_NONBLOCK_ = 04000,
};
enum { PROT_RW = 3, PROT_R = 1, MAP_PRIVATE_ANON = 0x22, MAP_SHARED_ = 1, MAYMOVE = 1 };
enum { PUNCH_KEEP = 3, SIG_SETMASK_ = 2, RLIMIT_NOFILE_ = 7, POLLIN_ = 1 };
enum { AF_UNIX_ = 1, STREAM_CLOEXEC = 02000001, WAITALL = 0x100, CMSG_CLOEXEC_ = 0x40000000 };

#define PAGE 4096UL

struct pollfd { int fd; short events, revents; };

static i64 call(i64 n, i64 a, i64 b, i64 c, i64 d, i64 e, i64 f)
{
	i64 result;
	register i64 r10 __asm__("r10") = d;
	register i64 r8 __asm__("r8") = e;
	register i64 r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}
#define call1(n, a) call(n, (i64)(a), 0, 0, 0, 0, 0)
#define call2(n, a, b) call(n, (i64)(a), (i64)(b), 0, 0, 0, 0)
#define call3(n, a, b, c) call(n, (i64)(a), (i64)(b), (i64)(c), 0, 0, 0)
#define call4(n, a, b, c, d) call(n, (i64)(a), (i64)(b), (i64)(c), (i64)(d), 0, 0)

/* In assembly, because a compiler makes a call to memmove of a loop that is one. */
void *memmove(void *to, const void *from, u64 bytes)
{
	void *result = to;
	if (to > from) {
		to = (u8 *)to + bytes - 1;
		from = (const u8 *)from + bytes - 1;
		__asm__ volatile("std\n\trep movsb\n\tcld"
				 : "+D"(to), "+S"(from), "+c"(bytes)
				 :
				 : "memory");
	} else {
		__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
	}
	return result;
}

void *memcpy(void *to, const void *from, u64 bytes)
{
	return memmove(to, from, bytes);
}

void *memset(void *to, int value, u64 bytes)
{
	void *result = to;
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
	return result;
}

static __attribute__((noreturn)) void leave(int status)
{
	for (;;)
		call1(SYS_exit, status);
}

static int failed(i64 result)
{
	return result < 0 && result > -4096;
}

static u64 smaller(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* The job's cgroup.kill, open for writing. */
static i64 kill_file;

/* A wrong page is worse than no job. The mark tells whoever asks later how it ended. */
static __attribute__((noreturn)) void give_up(void)
{
	call3(SYS_open, "lost", O_CREAT_ | O_WRONLY_, 0600);
	call3(SYS_write, kill_file, "1", 1);
	leave(3);
}

static void *map(u64 bytes)
{
	i64 got = call(SYS_mmap, 0, bytes, PROT_RW, MAP_PRIVATE_ANON, -1, 0);
	if (failed(got))
		give_up();
	return (void *)got;
}

/* Room for one more than `count` of `size` bytes. */
static void *grown(void *old, u64 count, u64 *room, u64 size)
{
	if (count < *room)
		return old;
	u64 before = *room * size;
	*room = *room ? *room * 2 : PAGE / size + 1;
	if (before == 0)
		return map(*room * size);
	i64 got = call4(SYS_mremap, old, before, *room * size, MAYMOVE);
	if (failed(got))
		give_up();
	return (void *)got;
}
