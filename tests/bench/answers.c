/* An HTTP server that is always well, and counts.
 *
 *     answers COUNTER
 *
 * Listens on a free port of 127.0.0.1, prints it, and answers each request, of at most one
 * segment, with "200 OK" at the end of the connection. COUNTER is a file of eight bytes, mapped:
 * how often it has answered. One process and one epoll, so that what it costs is small beside
 * what asks it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	int file = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (file < 0 || ftruncate(file, 8) < 0)
		return 3;
	volatile uint64_t *count = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (count == MAP_FAILED)
		return 3;

	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof at;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 4096) < 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &length) < 0)
		return 4;
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);

	int all = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
	epoll_ctl(all, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		struct epoll_event ready[64];
		int many = epoll_wait(all, ready, 64, -1);
		for (int i = 0; i < many; i++) {
			if (ready[i].data.fd == listener) {
				int client;
				while ((client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
					struct epoll_event new = {.events = EPOLLIN, .data.fd = client};
					epoll_ctl(all, EPOLL_CTL_ADD, client, &new);
				}
				continue;
			}
			char request[4096];
			if (read(ready[i].data.fd, request, sizeof request) > 0 &&
			    write(ready[i].data.fd, answer, strlen(answer)) > 0)
				++*count;
			close(ready[i].data.fd);
		}
	}
}
