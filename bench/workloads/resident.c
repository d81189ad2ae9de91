/*
 * A job to be moved: so many MiB of resident memory that does not compress, and a TCP server that
 * answers each byte with itself. One process, one thread: what a move costs beyond CRIU is then
 * the move's own.
 *
 * usage: resident MIB ADDRESS PORT   It listens once its memory is filled.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS_MAX = 16, BUFFER_BYTES = 4096, MIB = 1 << 20 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* xorshift64: no page is like another, so nothing can elide or compress them. */
static void fill(size_t mib)
{
	size_t words = mib * MIB / sizeof(uint64_t);
	uint64_t state = 88172645463325252ULL;
	uint64_t *memory = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	for (size_t i = 0; i < words; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memory[i] = state;
	}
}

static int listen_on(const char *address, int port)
{
	struct sockaddr_in where = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1, server = socket(AF_INET, SOCK_STREAM, 0);

	if (server < 0 || inet_pton(AF_INET, address, &where.sin_addr) != 1)
		die("address");
	setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(server, (struct sockaddr *)&where, sizeof(where)) < 0)
		die("bind");
	if (listen(server, PEERS_MAX) < 0)
		die("listen");
	return server;
}

static void welcome(int server, struct pollfd *peers, int *count)
{
	int one = 1, peer = accept(server, NULL, NULL);

	if (peer < 0)
		return;
	if (*count > PEERS_MAX) {
		close(peer);
		return;
	}
	setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	peers[(*count)++] = (struct pollfd){ .fd = peer, .events = POLLIN };
}

/* False when the peer is gone. */
static int echo(int peer)
{
	char buffer[BUFFER_BYTES];
	ssize_t have = recv(peer, buffer, sizeof(buffer), 0);

	for (ssize_t done = 0; done < have;) {
		ssize_t sent = send(peer, buffer + done, have - done, MSG_NOSIGNAL);
		if (sent <= 0)
			return 0;
		done += sent;
	}
	return have > 0;
}

int main(int argc, char **argv)
{
	struct pollfd peers[PEERS_MAX + 1];
	int count = 1;

	if (argc != 4)
		return 2;
	fill(strtoul(argv[1], NULL, 10));
	peers[0] = (struct pollfd){ .fd = listen_on(argv[2], atoi(argv[3])), .events = POLLIN };
	for (;;) {
		if (poll(peers, count, -1) < 0)
			continue;
		for (int i = count - 1; i > 0; i--) {
			if (!peers[i].revents || echo(peers[i].fd))
				continue;
			close(peers[i].fd);
			peers[i] = peers[--count];
		}
		if (peers[0].revents)
			welcome(peers[0].fd, peers, &count);
	}
}
