/* seccomp NAME=ERRNO ... -- COMMAND: runs a command for which these system calls fail; 0 makes one lie. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct call { const char *name; long number; };

static const struct call calls[] = {
	{"clone3", SYS_clone3},
	{"pidfd_open", SYS_pidfd_open},
	{"pidfd_send_signal", SYS_pidfd_send_signal},
	{"close_range", SYS_close_range},
	{"inotify_init1", SYS_inotify_init1},
	{"inotify_add_watch", SYS_inotify_add_watch},
	{"epoll_create1", SYS_epoll_create1},
	{"eventfd2", SYS_eventfd2},
	{"signalfd4", SYS_signalfd4},
	{"timerfd_create", SYS_timerfd_create},
	{"statx", SYS_statx},
	{"openat2", SYS_openat2},
	{"renameat2", SYS_renameat2},
	{"prlimit64", SYS_prlimit64},
	{"rseq", SYS_rseq},
	{"prctl", SYS_prctl},
	{"flock", SYS_flock},
	{"accept4", SYS_accept4},
	{"setsid", SYS_setsid},
	{"setgroups", SYS_setgroups},
	{"setresgid", SYS_setresgid},
	{"setresuid", SYS_setresuid},
	{"chdir", SYS_chdir},
	{"capset", SYS_capset},
	{"setpriority", SYS_setpriority},
	{"umask", SYS_umask},
	{"close", SYS_close},
	{"waitid", SYS_waitid},
};

/* clone with this flag only: "clone:thread", "clone:vm", "clone:pidfd", "clone:vfork". */
static const struct call flags[] = {
	{"clone:thread", CLONE_THREAD},
	{"clone:vm", CLONE_VM},
	{"clone:pidfd", CLONE_PIDFD},
	{"clone:vfork", CLONE_VFORK},
};

static struct sock_filter filter[512];
static unsigned short length;

static void add(struct sock_filter instruction)
{
	filter[length++] = instruction;
}

static void load(unsigned offset)
{
	add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset));
}

static long look_up(const struct call *list, size_t count, const char *name, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(list[i].name) == len && !strncmp(list[i].name, name, len))
			return list[i].number;
	return -1;
}

static void refuse(const char *rule)
{
	const char *equals = strchr(rule, '=');
	if (!equals)
		exit(100);
	unsigned verdict = SECCOMP_RET_ERRNO | (atoi(equals + 1) & SECCOMP_RET_DATA);
	long number = look_up(calls, sizeof calls / sizeof *calls, rule, equals - rule);
	long flag = look_up(flags, sizeof flags / sizeof *flags, rule, equals - rule);
	load(offsetof(struct seccomp_data, nr));
	if (number >= 0) {
		add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
	} else if (flag >= 0) {
		/* A thread shares memory as well: only processes are meant by the others. */
		unsigned also = flag == CLONE_THREAD ? 0 : CLONE_THREAD;
		add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4));
		load(offsetof(struct seccomp_data, args[0]));
		add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, also, 2, 0));
		add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, flag, 0, 1));
	} else {
		fprintf(stderr, "seccomp: unknown: %s\n", rule);
		exit(100);
	}
	add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
}

int main(int argc, char **argv)
{
	int i = 1;
	for (; i < argc && strcmp(argv[i], "--"); i++)
		refuse(argv[i]);
	add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
	struct sock_fprog program = {length, filter};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) {
		perror("seccomp");
		return 101;
	}
	if (i + 1 < argc)
		execvp(argv[i + 1], argv + i + 1);
	perror("seccomp: exec");
	return 102;
}
