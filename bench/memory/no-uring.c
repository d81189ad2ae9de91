/*
 * Loaded before libuv, so that Node has no io_uring, which CRIU can't dump: libuv makes one for
 * epoll_ctl whatever UV_USE_IO_URING says (1.49 on, src/unix/linux.c), and does without where the
 * kernel has none.
 */
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

long syscall(long number, ...)
{
	va_list list;
	long a[6], result;
	register long r10 __asm__("r10");
	register long r8 __asm__("r8");
	register long r9 __asm__("r9");

	if (number == SYS_io_uring_setup) {
		errno = ENOSYS;
		return -1;
	}
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	r10 = a[3];
	r8 = a[4];
	r9 = a[5];
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	if (result > -4096 && result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}
