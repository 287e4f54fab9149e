/* How long an init takes to start its program, and from its own start to its end.
 *
 *     starts COUNT INIT... :: INIT... [:: INIT...]
 *
 * Each INIT is a command line that a program's is put behind. COUNT times each is started, one after
 * the other in turn, with this very program as what it is to run: that writes down the time of its
 * first instruction, and ends. For each INIT one line: the medians in nanoseconds from just before its
 * start to that instruction, and to its own end. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16, WORDS = 64 };

extern char **environ;

static int64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
	return (one > other) - (one < other);
}

static int64_t median(int64_t *values, int count)
{
	qsort(values, (size_t)count, sizeof *values, compare);
	return values[count / 2];
}

struct init {
	char *argv[WORDS];
	int64_t *begun, *ended;
};

static int start(struct init *init, int round, const int *channel)
{
	pid_t pid;
	int status;
	int64_t stamp, told = now();
	if (posix_spawnp(&pid, init->argv[0], NULL, NULL, init->argv, environ))
		return 0;
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return 0;
	init->ended[round] = now() - told;
	if (read(channel[0], &stamp, sizeof stamp) != sizeof stamp)
		return 0;
	init->begun[round] = stamp - told;
	return 1;
}

int main(int argc, char **argv)
{
	if (argc == 2 && argv[1][0] == '=') {
		int64_t stamp = now();
		return write(atoi(argv[1] + 1), &stamp, sizeof stamp) != sizeof stamp;
	}
	int count = argc > 2 ? atoi(argv[1]) : 0, inits = 0, words = 0, channel[2];
	if (count < 1 || pipe2(channel, O_NONBLOCK))
		return 2;
	static struct init all[MOST];
	char target[16];
	snprintf(target, sizeof target, "=%d", channel[1]);
	for (int at = 2; at <= argc; at++) {
		if (at < argc && strcmp(argv[at], "::")) {
			if (inits == MOST || words + 3 >= WORDS)
				return 2;
			all[inits].argv[words++] = argv[at];
			continue;
		}
		all[inits].argv[words++] = argv[0];
		all[inits].argv[words] = target;
		all[inits].begun = calloc((size_t)count, sizeof(int64_t));
		all[inits].ended = calloc((size_t)count, sizeof(int64_t));
		words = 0;
		inits++;
	}
	/* Who goes first changes from round to round. */
	for (int round = -1; round < count; round++) {
		for (int turn = 0; turn < inits; turn++) {
			struct init *init = &all[(turn + round + 1) % inits];
			if (!start(init, round < 0 ? 0 : round, channel)) {
				fprintf(stderr, "%s fails\n", init->argv[0]);
				return 3;
			}
		}
	}
	for (int at = 0; at < inits; at++)
		printf("%lld %lld\n", (long long)median(all[at].begun, count), (long long)median(all[at].ended, count));
	return 0;
}
