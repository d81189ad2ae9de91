/*
 * The first process of a job's PID namespace: it reaps, forwards signals, and outlives a program
 * that puts itself into the background. Freestanding (no libc) so that it has five small mappings
 * to dump and the same bytes on every host: CRIU compares the file before it restores a mapping.
 *
 * usage: job-init [--old-root DIR] PROGRAM ARG...   PROGRAM is an absolute path; DIR is where
 *        pivot_root(2) put the old root, which is unmounted and removed first.
 * Exit status: that of the first child, 128+N if signal N ended it, 127 if it could not be started.
 *
 * x86-64 Linux. Built by scripts/build-native.ts; a test rebuilds it and compares.
 */
typedef unsigned long u64;
typedef long i64;

enum {
	SYS_rt_sigprocmask = 14,
	SYS_fork = 57,
	SYS_execve = 59,
	SYS_exit = 60,
	SYS_wait4 = 61,
	SYS_kill = 62,
	SYS_rmdir = 84,
	SYS_setsid = 112,
	SYS_rt_sigtimedwait = 128,
	SYS_umount2 = 166,
};

enum { SIG_BLOCK_ = 0, SIG_SETMASK_ = 2, WNOHANG_ = 1, SIGCHLD_ = 17, MNT_DETACH_ = 2 };
enum { EINTR_ = -4, ECHILD_ = -10 };

static inline i64 call4(i64 n, i64 a, i64 b, i64 c, i64 d)
{
	i64 result;
	register i64 r10 __asm__("r10") = d;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

static int exit_status(int status)
{
	return (status & 0x7f) ? 128 + (status & 0x7f) : (status >> 8) & 0xff;
}

/* Reaps all that has ended; returns 0 when no child is left at all. */
static int reap(i64 first, int *status, int *first_gone)
{
	for (;;) {
		int ended = 0;
		i64 pid = call4(SYS_wait4, -1, (i64)&ended, WNOHANG_, 0);
		if (pid == ECHILD_)
			return 0;
		if (pid <= 0)
			return 1;
		if (pid == first) {
			*status = exit_status(ended);
			*first_gone = 1;
		}
	}
}

static void supervise(i64 first, u64 *all)
{
	int status = 0, first_gone = 0;

	for (;;) {
		i64 sig = call4(SYS_rt_sigtimedwait, (i64)all, 0, 0, 8);
		if (sig == SIGCHLD_) {
			if (!reap(first, &status, &first_gone))
				call4(SYS_exit, status, 0, 0, 0);
		} else if (sig > 0) {
			/* After the first child is gone, everything that it left behind is meant. */
			call4(SYS_kill, first_gone ? -1 : first, sig, 0, 0);
		} else if (sig != EINTR_) {
			call4(SYS_exit, 126, 0, 0, 0);
		}
	}
}

static int is_old_root(const char *word)
{
	const char *wanted = "--old-root";

	while (*wanted && *word == *wanted) {
		word++;
		wanted++;
	}
	return *wanted == *word;
}

__attribute__((used)) void job_init(u64 *stack)
{
	u64 argc = stack[0];
	char **argv = (char **)(stack + 1);
	char **envp = argv + argc + 1;
	u64 all = ~0UL, before = 0;
	i64 first;

	if (argc > 3 && is_old_root(argv[1])) {
		call4(SYS_umount2, (i64)argv[2], MNT_DETACH_, 0, 0);
		call4(SYS_rmdir, (i64)argv[2], 0, 0, 0);
		argv += 2;
		argc -= 2;
	}
	if (argc < 2)
		call4(SYS_exit, 126, 0, 0, 0);
	call4(SYS_setsid, 0, 0, 0, 0);
	call4(SYS_rt_sigprocmask, SIG_SETMASK_, (i64)&all, (i64)&before, 8);
	first = call4(SYS_fork, 0, 0, 0, 0);
	if (first == 0) {
		call4(SYS_setsid, 0, 0, 0, 0);
		call4(SYS_rt_sigprocmask, SIG_SETMASK_, (i64)&before, 0, 8);
		call4(SYS_execve, (i64)argv[1], (i64)(argv + 1), (i64)envp, 0);
		call4(SYS_exit, 127, 0, 0, 0);
	}
	if (first < 0)
		call4(SYS_exit, 126, 0, 0, 0);
	supervise(first, &all);
}

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %rbp, %rbp\n"
	"	mov %rsp, %rdi\n"
	"	and $-16, %rsp\n"
	"	call job_init\n");
