/*
 * usage: echo-server PORT [FILE]
 * Echoes what comes by TCP and UDP on every address of both families; holds FILE open. It knows
 * nothing of being moved: one process, a loop around poll(2).
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS_MAX = 16384, DATAGRAM = 0, LISTENER = 1, FIRST_PEER = 2 };

static int bound(int type, int port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	int yes = 1, sock = socket(AF_INET6, type, 0);

	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (bind(sock, (struct sockaddr *)&address, sizeof address) != 0) {
		perror("bind");
		exit(1);
	}
	return sock;
}

static void echo_datagram(int sock)
{
	char bytes[2048];
	struct sockaddr_in6 from;
	socklen_t size = sizeof from;
	ssize_t got = recvfrom(sock, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &size);

	if (got >= 0)
		sendto(sock, bytes, got, 0, (struct sockaddr *)&from, size);
}

/* Returns 0 once the peer has gone. */
static int echo_stream(int sock)
{
	char bytes[65536];
	ssize_t got = read(sock, bytes, sizeof bytes), sent = 0;

	while (got > 0 && sent < got) {
		ssize_t part = write(sock, bytes + sent, got - sent);
		if (part <= 0)
			return 0;
		sent += part;
	}
	return got > 0;
}

int main(int argc, char **argv)
{
	int port = argc > 1 ? atoi(argv[1]) : 7000, count = FIRST_PEER;
	static struct pollfd polls[PEERS_MAX];
	struct rlimit files;

	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (argc > 2 && open(argv[2], O_RDWR | O_CREAT, 0600) < 0) {
		perror(argv[2]);
		return 1;
	}
	polls[DATAGRAM] = (struct pollfd){ bound(SOCK_DGRAM, port), POLLIN };
	polls[LISTENER] = (struct pollfd){ bound(SOCK_STREAM, port), POLLIN };
	listen(polls[LISTENER].fd, PEERS_MAX);
	for (;;) {
		if (poll(polls, count, -1) < 0)
			continue;
		for (int i = count - 1; i >= FIRST_PEER; i--) {
			if (polls[i].revents == 0 || echo_stream(polls[i].fd))
				continue;
			close(polls[i].fd);
			polls[i] = polls[--count];
		}
		if (polls[DATAGRAM].revents)
			echo_datagram(polls[DATAGRAM].fd);
		if (polls[LISTENER].revents && count < PEERS_MAX)
			polls[count++] = (struct pollfd){ accept(polls[LISTENER].fd, 0, 0), POLLIN };
	}
}
