/* The floor: what starting, waiting for and ending processes costs when nothing else is done.
 * No policy, no log, no configuration, one thread.
 *
 *     floor hold FIFO PROGRAM LOG COUNT
 *         Starts "PROGRAM LOG:0" to "PROGRAM LOG:COUNT-1". One that ends is started again at
 *         once. A number written to FIFO (a native int) starts one more. SIGTERM ends them all.
 *
 *     floor reap PROGRAM ARGUMENT...
 *         The least that a PID 1 can do: starts PROGRAM, then waits for whatever dies. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIDS = 1 << 22, NUMBERS = 1 << 17 };

extern char **environ;

/* Both lie in .bss: a page that is never touched costs nothing. */
static int number_of[PIDS];  /* by pid: the number, plus one */
static pid_t pid_of[NUMBERS];
static int running, numbers;

static const char *program, *log_path;
static posix_spawnattr_t unblocked;
static volatile sig_atomic_t told_to_stop;

static void on_child(int signal) { (void)signal; }
static void on_stop(int signal) { (void)signal; told_to_stop = 1; }

static void start(int number)
{
	char argument[4096];
	snprintf(argument, sizeof argument, "%s:%d", log_path, number);
	char *argv[] = { (char *)program, argument, NULL };
	pid_t pid;
	int error = posix_spawn(&pid, program, NULL, &unblocked, argv, environ);
	if (error) {
		fprintf(stderr, "floor: cannot start %s: %s\n", argument, strerror(error));
		return;
	}
	number_of[pid] = number + 1;
	pid_of[number] = pid;
	if (number >= numbers)
		numbers = number + 1;
	running++;
}

static void collect(int restart)
{
	for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;) {
		int number = number_of[pid] - 1;
		if (number < 0)
			continue;
		number_of[pid] = 0;
		pid_of[number] = 0;
		running--;
		if (restart)
			start(number);
	}
}

static int hold(const char *fifo_path, int count)
{
	/* The signals are open during ppoll only, so none is lost between a look and the sleep. */
	sigset_t closed, open_mask;
	sigemptyset(&open_mask);
	sigemptyset(&closed);
	sigaddset(&closed, SIGCHLD);
	sigaddset(&closed, SIGTERM);
	sigprocmask(SIG_BLOCK, &closed, NULL);
	sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = on_child }, NULL);
	sigaction(SIGTERM, &(struct sigaction){ .sa_handler = on_stop }, NULL);
	posix_spawnattr_init(&unblocked);
	posix_spawnattr_setsigmask(&unblocked, &open_mask);
	posix_spawnattr_setflags(&unblocked, POSIX_SPAWN_SETSIGMASK);

	/* Open for writing, too: a fifo whose last writer left would be readable for ever. */
	struct pollfd fifo = { .fd = open(fifo_path, O_RDWR | O_NONBLOCK | O_CLOEXEC), .events = POLLIN };
	if (fifo.fd < 0) {
		perror(fifo_path);
		return 1;
	}

	for (int number = 0; number < count; number++)
		start(number);
	for (int stopping = 0; running || !stopping;) {
		ppoll(&fifo, 1, NULL, &open_mask);
		if (told_to_stop && !stopping) {
			stopping = 1;
			for (int number = 0; number < numbers; number++)
				if (pid_of[number])
					kill(pid_of[number], SIGTERM);
		}
		collect(!stopping);
		int number;
		while (!stopping && read(fifo.fd, &number, sizeof number) == sizeof number)
			if (number >= 0 && number < NUMBERS)
				start(number);
	}
	return 0;
}

static int reap(char **argv)
{
	pid_t pid;
	int error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (error) {
		fprintf(stderr, "floor: cannot start %s: %s\n", argv[0], strerror(error));
		return 1;
	}
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "reap"))
		return reap(argv + 2);
	if (argc != 6 || strcmp(argv[1], "hold") || atoi(argv[5]) > NUMBERS)
		return 2;
	program = argv[3];
	log_path = argv[4];
	return hold(argv[2], atoi(argv[5]));
}
