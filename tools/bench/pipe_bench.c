// SPDX-License-Identifier: GPL-2.0-only
/*
 * pipe_bench: bytes through a pipe, and setting up shared memory, kmm against the host.
 *
 * pipe_N: one task writes N bytes and reads N bytes back, the host's pipe and kmm's in turns, both
 * of 64 KiB, both with the same buffers; cost per byte. shm_setup_1000: a new memfd, or a
 * new object, gets its size, is mapped, and the first byte of each of its 1,000 pages is written;
 * cost per page; taking it down is not part of it. Fastest round of each side. Prints
 * "row NAME HOST KMM ns", as kmm_bench does.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kmm.h"
#include "now.h"

#define ROUNDS		12
#define TRIPS		32	/* writes and reads of one round */
#define SHM_PAGES	1000

static int device(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = open(KMM_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		err(1, KMM_DEVICE);
	return fd;
}

/* === Pipes === */

static void host_pipe(int fd[2])
{
	if (pipe2(fd, O_CLOEXEC))
		err(1, "pipe2");
}

static void kmm_pipe(int fd[2])
{
	struct kmm_pipe_create c = { .size_bytes = 1 << 16 };

	if (ioctl(device(), KMM_IOC_PIPE_CREATE, &c))
		err(1, "KMM_IOC_PIPE_CREATE");
	fd[0] = c.fd_read;
	fd[1] = c.fd_write;
}

static uint64_t measure_pipe(void (*make)(int fd[2]), size_t size)
{
	static char out[1 << 16], in[1 << 16];
	uint64_t start, ns;
	int fd[2], i;

	make(fd);
	memset(in, 0, size);
	for (size_t at = 0; at < size; at++)
		out[at] = at * 7 + at / 256;
	start = now_ns();
	for (i = 0; i < TRIPS; i++)
		if (write(fd[1], out, size) != (ssize_t)size ||
		    read(fd[0], in, size) != (ssize_t)size)
			err(1, "write and read");
	ns = now_ns() - start;
	if (memcmp(in, out, size)) {
		fprintf(stderr, "pipe_bench: other bytes came out\n");
		exit(1);
	}
	close(fd[0]);
	close(fd[1]);
	return ns;
}

static void row_pipe(const char *name, size_t size)
{
	uint64_t host = UINT64_MAX, kmm = UINT64_MAX, ns;

	/* The first round warms both sides and does not count. */
	for (int i = 0; i <= ROUNDS; i++) {
		ns = measure_pipe(host_pipe, size);
		if (i && ns < host)
			host = ns;
		ns = measure_pipe(kmm_pipe, size);
		if (i && ns < kmm)
			kmm = ns;
	}
	printf("row %s %.5f %.5f ns\n", name, (double)host / TRIPS / size,
	       (double)kmm / TRIPS / size);
}

/* === Shared memory === */

static int host_shm(void)
{
	int fd = memfd_create("pipe_bench", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, SHM_PAGES * 4096L))
		err(1, "memfd");
	return fd;
}

static int kmm_shm(void)
{
	struct kmm_object_create c = { .size_bytes = SHM_PAGES * 4096L };

	if (ioctl(device(), KMM_IOC_OBJECT_CREATE, &c))
		err(1, "KMM_IOC_OBJECT_CREATE");
	return c.fd;
}

static uint64_t measure_shm(int (*make)(void))
{
	uint64_t start = now_ns(), ns;
	int fd = make();
	char *p = mmap(NULL, SHM_PAGES * 4096L, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		err(1, "mmap");
	for (size_t i = 0; i < SHM_PAGES; i++)
		((volatile char *)p)[i * 4096] = 1;
	ns = now_ns() - start;
	for (size_t i = 0; i < SHM_PAGES; i++)
		if (p[i * 4096] != 1 || p[i * 4096 + 1] != 0) {
			fprintf(stderr, "pipe_bench: page %zu has other contents\n", i);
			exit(1);
		}
	munmap(p, SHM_PAGES * 4096L);
	close(fd);
	return ns;
}

static void row_shm(void)
{
	uint64_t host = UINT64_MAX, kmm = UINT64_MAX, ns;

	for (int i = 0; i <= ROUNDS; i++) {
		ns = measure_shm(host_shm);
		if (i && ns < host)
			host = ns;
		ns = measure_shm(kmm_shm);
		if (i && ns < kmm)
			kmm = ns;
	}
	printf("row shm_setup_1000 %.3f %.3f ns\n", (double)host / SHM_PAGES,
	       (double)kmm / SHM_PAGES);
}

int main(void)
{
	row_pipe("pipe_4k", 4096);
	row_pipe("pipe_64k", 65536);
	row_shm();
	return 0;
}
