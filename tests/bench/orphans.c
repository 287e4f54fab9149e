/* Hands PID 1 a crowd of zombies in one burst, and times how long they last.
 *
 *     orphans RESULT:COUNT
 *
 * Runs in a PID namespace, as a process of the init under test. It starts a mother, who starts
 * COUNT children that end at once, sees each of them dead without waiting it away, and ends:
 * in that moment PID 1 becomes the parent of COUNT zombies. RESULT then gets one line, the
 * nanoseconds from the adoption until the last zombie was gone, or "never" after a limit. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const int64_t LIMIT = 10 * 1000000000LL;

static int64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void mother(int count, int to_watcher)
{
	pid_t *children = calloc((size_t)count, sizeof *children);
	setpgid(0, 0);
	for (int i = 0; i < count; i++) {
		children[i] = vfork();
		if (children[i] == 0)
			_exit(0);
		if (children[i] < 0)
			_exit(1);
	}
	for (int i = 0; i < count; i++) {
		siginfo_t info;
		if (waitid(P_PID, (id_t)children[i], &info, WEXITED | WNOWAIT))
			_exit(1);
	}
	_exit(write(to_watcher, &children[count - 1], sizeof *children) != sizeof *children);
}

/* Whether all are gone by the limit. The kernel keeps zombies in the order of their birth, so
 * the last one usually goes last: asking for it alone is cheap and takes no lock that a reaper
 * needs. Only when it is gone are all asked for, through the group that they were born into. */
static int gone(pid_t last, pid_t group, int64_t limit)
{
	for (pid_t target = last; now() < limit; usleep(100)) {
		if (target == last && kill(last, 0) && errno == ESRCH)
			target = -group;
		if (target == -group && kill(-group, 0) && errno == ESRCH)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	char *number = argc > 1 ? strrchr(argv[1], ':') : NULL;
	int channel[2], count = number ? atoi(number + 1) : 0;
	if (count < 1 || pipe(channel))
		return 2;
	*number = '\0';

	usleep(500000); /* the init is to be at rest */
	pid_t group = fork();
	if (group < 0)
		return 3;
	if (group == 0)
		mother(count, channel[1]);
	close(channel[1]);
	pid_t last;
	if (read(channel[0], &last, sizeof last) != sizeof last)
		return 3;
	waitpid(group, NULL, 0); /* the kernel wakes us when it has handed the children over */
	int64_t adopted = now();

	char line[64] = "never\n";
	if (gone(last, group, adopted + LIMIT))
		snprintf(line, sizeof line, "%lld\n", (long long)(now() - adopted));
	int result = open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	if (result < 0 || write(result, line, strlen(line)) < 0)
		return 3;
	for (;;) /* a supervisor would start it again */
		pause();
}
