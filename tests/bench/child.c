/* A supervised process that says when it began.
 *
 *     child LOG:NUMBER
 *
 * The first thing it does is to read CLOCK_MONOTONIC; then it appends one record to LOG and
 * sleeps until a signal ends it. A record is far smaller than a page and the file is opened
 * for appending, so records of any number of children stay whole and nobody has to be awake
 * to catch the moment. All is in one argument, so that "#!/path/child LOG:NUMBER" works. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct start {
	uint64_t nanoseconds;
	uint32_t number;
	uint32_t pid;
};

int main(int argc, char **argv)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);

	char *number = argc > 1 ? strrchr(argv[1], ':') : NULL;
	if (!number)
		return 2;
	*number++ = '\0';

	struct start start = {
		.nanoseconds = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
		.number = (uint32_t)strtoul(number, NULL, 10),
		.pid = (uint32_t)getpid(),
	};
	int log = open(argv[1], O_WRONLY | O_APPEND | O_CLOEXEC);
	if (log < 0 || write(log, &start, sizeof start) != sizeof start)
		return 3;
	close(log);
	for (;;)
		pause();
}
