// SPDX-License-Identifier: GPL-2.0-only
/*
 * init of the test VM: build the root file system, run one command, hand back what it said.
 *
 * tools/vm/run links this statically and puts it into the initramfs as /init, with a folder
 * /conf that describes the run (lists are NUL-terminated strings one after another):
 *
 *	argv, env	the command and its environment
 *	cwd		where it starts
 *	modules		kernel modules of the initramfs to load, in order (stock only)
 *	binds		pairs: a path of the machine, the path over which it is bind-mounted
 *	share		exists if there is a folder to mount at /mnt/share
 *	overlay_size	size= of the tmpfs that takes all writes
 *
 * The root is the host's own, read-only over 9p, under an overlay whose upper layer is a
 * tmpfs: the machine's programs run, and nothing they write comes back, except in /mnt/share.
 *
 * stdin, stdout and stderr travel over one virtio-serial port in frames of a type byte, a
 * little-endian 32-bit length and the data. One port keeps the order: when the host has the
 * exit status it has all output before it.
 *
 *	to the host	h hello (milliseconds since boot)  o stdout  e stderr  x exit status
 *			f could not start (text)
 *	to the guest	i stdin (length 0: end of file)  t show blocked tasks in the log
 *
 * Any failure here ends in a message, a power-off and no exit status: the host calls that a
 * failed run. So does a panic (panic=-1).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/ioctl.h>
#include <net/if.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX	32768	/* the port driver takes no more in one write */
#define LINGER_MS	1000	/* how long children of the command may keep its output open */

static int port = -1;

static void power_off(void)
{
	reboot(RB_POWER_OFF);
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			struct pollfd pfd = { .fd = fd, .events = POLLOUT };

			poll(&pfd, 1, 1000);
			continue;
		}
		if (n <= 0)
			power_off();
		p += n;
		len -= n;
	}
}

static void send_frame(char type, const void *data, uint32_t len)
{
	static char buf[FRAME_MAX];
	const size_t head = 5;

	buf[0] = type;
	memcpy(buf + 1, &len, 4);
	memcpy(buf + head, data, len);
	write_all(port, buf, head + len);
}

static void fail(const char *fmt, ...)
{
	char text[512];
	int err = errno;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 64, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(text) - 65)
		n = sizeof(text) - 65;
	if (err)
		n += snprintf(text + n, 64, ": %s", strerror(err));
	fprintf(stderr, "vm init: %s\n", text);
	if (port >= 0)
		send_frame('f', text, n);
	power_off();
}

/* A whole file of /conf as a NULL-terminated list of its strings; NULL if there is none. */
static char **read_list(const char *path)
{
	FILE *f = fopen(path, "r");
	size_t cap = 4096, len = 0, n = 0, k;
	char *buf, **list;

	if (!f)
		return NULL;
	buf = malloc(cap);
	while (buf && (k = fread(buf + len, 1, cap - len, f)) > 0) {
		len += k;
		if (len == cap)
			buf = realloc(buf, cap *= 2);
	}
	fclose(f);
	list = calloc(len + 2, sizeof(*list));
	if (!buf || !list)
		fail("no memory for %s", path);
	for (size_t i = 0; i < len; i += strlen(buf + i) + 1)
		list[n++] = buf + i;
	return list;
}

static void load_modules(void)
{
	char **list = read_list("/conf/modules");

	for (; list && *list; list++) {
		int fd = open(*list, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			fail("open %s", *list);
		if (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST)
			fail("load %s", *list);
		close(fd);
	}
}

static void open_port(void)
{
	for (int tries = 0; port < 0 && tries < 1000; tries++) {
		port = open("/dev/vport0p1", O_RDWR | O_CLOEXEC | O_NONBLOCK);
		if (port < 0)
			usleep(10000);
	}
	if (port < 0)
		fail("no virtio-serial port");
}

static void mkdirs(const char *path)
{
	char buf[4096];

	snprintf(buf, sizeof(buf), "%s", path);
	for (char *p = buf + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		mkdir(buf, 0755);
		*p = '/';
	}
	mkdir(buf, 0755);
}

static void must_mount(const char *src, const char *dir, const char *type, unsigned long flags,
		       const char *data)
{
	mkdir(dir, 0755);
	if (mount(src, dir, type, flags, data))
		fail("mount %s on %s", type, dir);
}

/* For what a kernel may have been built without: the command finds out if it cares. */
static void may_mount(const char *src, const char *dir, const char *type, const char *data)
{
	mkdir(dir, 0755);
	mount(src, dir, type, 0, data);
}

static void bind_over(const char *src, const char *dst)
{
	char from[4096], to[4096];
	struct stat st;

	snprintf(from, sizeof(from), "/new%s", src);
	snprintf(to, sizeof(to), "/new%s", dst);
	if (stat(from, &st))
		fail("stat %s", src);
	if (S_ISDIR(st.st_mode)) {
		mkdirs(to);
	} else {
		int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

		if (fd < 0)
			fail("create %s", dst);
		close(fd);
	}
	if (mount(from, to, NULL, MS_BIND, NULL))
		fail("bind %s over %s", src, dst);
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0) {
		ioctl(fd, SIOCSIFFLAGS, &ifr);
		close(fd);
	}
}

static void build_root(void)
{
	char **size = read_list("/conf/overlay_size");
	char **binds = read_list("/conf/binds");
	char opts[128];

	must_mount("host", "/lower", "9p", MS_RDONLY,
		   "trans=virtio,version=9p2000.L,msize=512000,cache=loose");
	snprintf(opts, sizeof(opts), "mode=755,size=%s", size ? size[0] : "50%");
	must_mount("rw", "/rw", "tmpfs", 0, opts);
	mkdir("/rw/upper", 0755);
	mkdir("/rw/work", 0755);
	must_mount("root", "/new", "overlay", 0,
		   "lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work");
	must_mount("dev", "/new/dev", "devtmpfs", 0, "mode=755");
	may_mount("devpts", "/new/dev/pts", "devpts", "mode=620,ptmxmode=666");
	may_mount("shm", "/new/dev/shm", "tmpfs", "mode=1777");
	may_mount("mqueue", "/new/dev/mqueue", "mqueue", NULL);
	symlink("/proc/self/fd", "/new/dev/fd");
	symlink("/proc/self/fd/0", "/new/dev/stdin");
	symlink("/proc/self/fd/1", "/new/dev/stdout");
	symlink("/proc/self/fd/2", "/new/dev/stderr");
	must_mount("proc", "/new/proc", "proc", 0, NULL);
	must_mount("sys", "/new/sys", "sysfs", 0, NULL);
	may_mount("debugfs", "/new/sys/kernel/debug", "debugfs", "mode=755");
	may_mount("tracefs", "/new/sys/kernel/tracing", "tracefs", "mode=755");
	may_mount("bpf", "/new/sys/fs/bpf", "bpf", NULL);
	must_mount("run", "/new/run", "tmpfs", 0, "mode=755");
	if (!access("/conf/share", F_OK)) {
		mkdirs("/new/mnt/share");
		must_mount("share", "/new/mnt/share", "9p", 0,
			   "trans=virtio,version=9p2000.L,msize=512000,cache=mmap");
	}
	for (; binds && binds[0]; binds += 2)
		bind_over(binds[0], binds[1]);
	loopback_up();
}

/* What switch_root does: the overlay becomes / for us and for the command. */
static void enter_root(void)
{
	if (chdir("/new") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		fail("enter the root");
}

static void run_command(char **argv, char **env, const char *cwd, int in, int out, int err)
{
	sigset_t none;
	int status;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	setsid();
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	closefrom(3);
	if (chdir(cwd)) {
		dprintf(2, "vm: cannot enter %s: %s\n", cwd, strerror(errno));
		_exit(126);
	}
	environ = env;
	execvp(argv[0], argv);
	status = errno == ENOENT ? 127 : 126;
	dprintf(2, "vm: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(status);
}

static int child_fd[2];

static void on_child(int sig)
{
	int saved = errno;

	(void)sig;
	/* when it is full the wake-up is on its way already */
	(void)!write(child_fd[1], "", 1);
	errno = saved;
}

static void show_blocked_tasks(void)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	write_all(fd, "w", 1);
	write_all(fd, "l", 1);
	close(fd);
}

/* stdin on its way to the command: nothing is read from the port while some is pending. */
static struct {
	int fd;			/* -1 when closed */
	char buf[2 * FRAME_MAX];
	size_t len;		/* bytes in buf, frames not parsed yet included */
	size_t data;		/* bytes of the current frame still to come or to write */
} in;

static void in_close(void)
{
	if (in.fd >= 0)
		close(in.fd);
	in.fd = -1;
}

static void in_drop(size_t n)
{
	memmove(in.buf, in.buf + n, in.len - n);
	in.len -= n;
}

/* Parse and pass on what there is. Returns true if it waits for the pipe to take more. */
static bool in_pump(void)
{
	for (;;) {
		uint32_t len;

		if (in.data) {
			size_t n = in.len < in.data ? in.len : in.data;

			if (!n)
				return false;
			if (in.fd >= 0) {
				ssize_t k = write(in.fd, in.buf, n);

				if (k < 0 && errno == EAGAIN)
					return true;
				if (k < 0)
					in_close();
				else
					n = k;
			}
			in_drop(n);
			in.data -= n;
			continue;
		}
		if (in.len < 5)
			return false;
		memcpy(&len, in.buf + 1, 4);
		if (in.buf[0] == 't')
			show_blocked_tasks();
		else if (!len)
			in_close();
		else
			in.data = len;
		in_drop(5);
	}
}

/* Returns true at the end of the file. */
static bool relay_out(int fd, char type)
{
	static char buf[FRAME_MAX - 5];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n > 0)
		send_frame(type, buf, n);
	return n == 0;
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int relay(pid_t pid, int out, int err)
{
	int status = -1;
	long end = 0;

	while (status < 0 || out >= 0 || err >= 0) {
		bool full = in_pump();
		struct pollfd p[5] = {
			{ .fd = child_fd[0], .events = POLLIN },
			{ .fd = out, .events = POLLIN },
			{ .fd = err, .events = POLLIN },
			{ .fd = full ? -1 : port, .events = POLLIN },
			{ .fd = full ? in.fd : -1, .events = POLLOUT },
		};

		if (status >= 0 && now_ms() >= end)
			break;
		if (poll(p, 5, status < 0 ? -1 : LINGER_MS) < 0 && errno != EINTR)
			fail("poll");
		if (p[0].revents) {
			char buf[64];
			pid_t dead;
			int st;

			while (read(child_fd[0], buf, sizeof(buf)) > 0)
				;
			while ((dead = waitpid(-1, &st, WNOHANG)) > 0) {
				if (dead != pid)
					continue;
				status = WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
				end = now_ms() + LINGER_MS;
			}
		}
		if (p[1].revents && relay_out(out, 'o'))
			out = -1;
		if (p[2].revents && relay_out(err, 'e'))
			err = -1;
		if (p[3].revents & POLLIN) {
			ssize_t n = read(port, in.buf + in.len, sizeof(in.buf) - in.len);

			if (n > 0)
				in.len += n;
		}
	}
	return status;
}

static void must_pipe(int fd[2])
{
	if (pipe2(fd, O_CLOEXEC))
		fail("pipe");
}

int main(void)
{
	char **argv, **env, **cwd;
	int to[2], out[2], err[2];
	int32_t status;
	uint32_t ms;
	bool share;
	pid_t pid;

	errno = 0;
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	must_mount("dev", "/dev", "devtmpfs", 0, NULL);
	load_modules();
	open_port();
	argv = read_list("/conf/argv");
	env = read_list("/conf/env");
	cwd = read_list("/conf/cwd");
	share = !access("/conf/share", F_OK);
	errno = 0;
	if (!argv || !argv[0] || !env || !cwd || !cwd[0])
		fail("no command in the initramfs");
	build_root();
	enter_root();

	must_pipe(to);
	must_pipe(out);
	must_pipe(err);
	must_pipe(child_fd);
	fcntl(child_fd[0], F_SETFL, O_NONBLOCK);
	fcntl(child_fd[1], F_SETFL, O_NONBLOCK);
	signal(SIGCHLD, on_child);
	ms = now_ms();
	send_frame('h', &ms, sizeof(ms));
	pid = fork();
	if (pid < 0)
		fail("fork");
	if (!pid)
		run_command(argv, env, cwd[0], to[0], out[1], err[1]);
	close(to[0]);
	close(out[1]);
	close(err[1]);
	in.fd = to[1];
	fcntl(in.fd, F_SETFL, O_NONBLOCK);
	status = relay(pid, out[0], err[0]);
	if (share) {
		int fd = open("/mnt/share", O_RDONLY | O_CLOEXEC);

		if (fd >= 0)
			syncfs(fd);
	}
	send_frame('x', &status, sizeof(status));
	power_off();
}
