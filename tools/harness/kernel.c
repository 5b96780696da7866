// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the kernel under the harness
 *
 * One thread plays all CPUs. The state of the running CPU (interrupts off, preemption
 * depth, locks held) is kept in variables, and everything that has a rule in a real
 * kernel checks it and ends the run when it is broken.
 *
 * Others come in at harness_point(), which each lock operation and each end of an
 * atomic section calls. There, now and then:
 *
 * - an interrupt comes, if interrupts are on. It runs on the same CPU, with whatever
 *   locks that CPU holds held, as in life. A lock that it would wait for is a deadlock.
 * - another CPU runs, if no lock is held by anybody; that this one has interrupts off does
 *   not stop it. (With a lock held it could run into it and would have to wait; one thread
 *   cannot.)
 * - the task moves to another CPU, if preemption is on.
 *
 * What comes in is harness_interrupt(), which the test sets. It does not nest further.
 * spin_trylock() can be made to fail at random, as if another CPU held the lock.
 */

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <harness/kernel.h>

#include <kmm/report.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)0)
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)0)
#endif

struct harness_stat harness_stat;
char harness_last_log[512];
bool harness_verbose;
unsigned int harness_cpu;
bool harness_irqs_off;
unsigned int harness_preempt;
unsigned int harness_in_irq;
unsigned int harness_locks;
unsigned long harness_fail_alloc;
unsigned int harness_trylock_fail;
unsigned long harness_online = (1UL << NR_CPUS) - 1;
void (*harness_interrupt)(void);
u64 (*harness_random)(void);
void (*harness_dying)(void);
struct task_struct harness_task = { .comm = "harness", .pid = 1 };

struct page harness_mem_map[HARNESS_NR_PAGES];
char *harness_memory;

static bool harness_nested;

void harness_die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "harness: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nharness: last log line: %s\n", harness_last_log);
	if (harness_dying)
		harness_dying();
	abort();	/* ASan prints the stack */
}

/* === Log === */

void harness_log(int level, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	const char *pv = strstr(fmt, "%pV");

	va_start(ap, fmt);
	if (pv) {	/* the only argument, then */
		const struct va_format *vaf = va_arg(ap, const struct va_format *);
		int n = snprintf(line, sizeof(line), "%.*s", (int)(pv - fmt), fmt);

		n += vsnprintf(line + n, sizeof(line) - n, vaf->fmt, *vaf->va);
		if (n < (int)sizeof(line))
			snprintf(line + n, sizeof(line) - n, "%s", pv + 3);
	} else {
		vsnprintf(line, sizeof(line), fmt, ap);
	}
	va_end(ap);
	if (level <= 3)
		harness_stat.log_err++;
	else if (level == 4)
		harness_stat.log_warn++;
	else
		harness_stat.log_info++;
	if (level <= 4)
		memcpy(harness_last_log, line, sizeof(line));
	if (harness_verbose)
		fprintf(stderr, "<%d>%s", level, line);
}

void printk(const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	harness_log(line[0] >= '0' && line[0] <= '7' ? line[0] - '0' : 4, "%s", line + 1);
}

void dump_stack(void)
{
	harness_stat.stacks++;
}

int vscnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	int n = vsnprintf(buf, size, fmt, ap);

	return n < (int)size ? n : size ? (int)size - 1 : 0;
}

int scnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vscnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

size_t strlcat(char *dst, const char *src, size_t size)
{
	size_t len = strlen(dst);

	if (len < size)
		snprintf(dst + len, size - len, "%s", src);
	return len + strlen(src);
}

/* === Context === */

static unsigned int random_online_cpu(void)
{
	unsigned int cpu;

	do
		cpu = harness_random() % NR_CPUS;
	while (!cpu_online(cpu));
	return cpu;
}

void harness_point(void)
{
	harness_stat.points++;
	if (!harness_interrupt || harness_nested || harness_random() % 8)
		return;
	if (!harness_irqs_off && harness_random() % 2) {
		unsigned int preempt = harness_preempt;

		harness_nested = true;
		harness_irqs_off = true;
		harness_in_irq = 1;
		harness_preempt++;
		harness_stat.nested++;
		harness_interrupt();
		if (!harness_irqs_off || harness_preempt != preempt + 1)
			harness_die("interrupt left with irqs on or preemption unbalanced");
		harness_preempt = preempt;
		harness_in_irq = 0;
		harness_irqs_off = false;
		harness_nested = false;
	} else if (!harness_locks) {
		unsigned int cpu = harness_cpu, preempt = harness_preempt, irq = harness_in_irq;
		unsigned int other = random_online_cpu();
		bool irqs_off = harness_irqs_off;

		if (other != cpu) {
			harness_nested = true;
			harness_preempt = 0;
			harness_irqs_off = false;
			harness_in_irq = 0;
			harness_cpu = other;
			harness_stat.nested++;
			harness_interrupt();
			if (harness_irqs_off || harness_preempt || harness_locks)
				harness_die("the other CPU left something held");
			harness_cpu = cpu;
			harness_in_irq = irq;
			harness_irqs_off = irqs_off;
			harness_preempt = preempt;
			harness_nested = false;
		}
	}
	if (preemptible())
		harness_cpu = random_online_cpu();
}

void harness_irq_save(unsigned long *flags)
{
	harness_point();
	*flags = harness_irqs_off ? 0x5a5a0000 : 0x5a5a0200;
	harness_irqs_off = true;
}

void harness_irq_restore(unsigned long flags)
{
	if (flags != 0x5a5a0000 && flags != 0x5a5a0200)
		harness_die("irq flags %#lx were never saved", flags);
	if (!harness_irqs_off)
		harness_die("irqs are on at restore");
	harness_irqs_off = flags == 0x5a5a0000;
	if (!harness_irqs_off)
		harness_point();
}

void local_irq_disable(void)
{
	harness_irqs_off = true;
}

void local_irq_enable(void)
{
	if (harness_in_irq)
		harness_die("irqs enabled in an interrupt");
	harness_irqs_off = false;
	harness_point();
}

void preempt_disable(void)
{
	harness_preempt++;
}

void preempt_enable(void)
{
	if (!harness_preempt--)
		harness_die("preempt_enable() without disable");
	if (!harness_preempt)
		harness_point();
}

void might_sleep(void)
{
	if (!preemptible() || harness_in_irq || harness_locks)
		harness_die("sleeping in atomic context (irqs %s, preempt %u, locks %u)",
			    harness_irqs_off ? "off" : "on", harness_preempt, harness_locks);
}

unsigned int harness_this_cpu(void)
{
	if (preemptible())
		harness_die("CPU number used where the task can migrate");
	return harness_cpu;
}

/* === Locks === */

void spin_lock_init(spinlock_t *l)
{
	*l = (spinlock_t){ .ready = true };
}

static void lock_taken(spinlock_t *l, bool try)
{
	if (!harness_irqs_off)
		l->irq_unsafe = true;
	if (harness_in_irq && !try)
		l->in_irq = true;
	if (l->irq_unsafe && l->in_irq)
		harness_die("lock is waited for in interrupts and was taken with interrupts on");
	l->holder = harness_cpu + 1;
	harness_locks++;
	harness_preempt++;
}

void spin_lock(spinlock_t *l)
{
	if (!l->ready)
		harness_die("lock not initialised");
	harness_point();
	if (l->holder)
		harness_die("deadlock: CPU %u waits for a lock of CPU %u", harness_cpu,
			    l->holder - 1);
	lock_taken(l, false);
}

bool spin_trylock(spinlock_t *l)
{
	if (!l->ready)
		harness_die("lock not initialised");
	harness_point();
	if (l->holder)
		return false;
	if (harness_trylock_fail && harness_random() % harness_trylock_fail == 0)
		return false;
	lock_taken(l, true);
	return true;
}

static void lock_release(spinlock_t *l)
{
	if (l->holder != harness_cpu + 1)
		harness_die("CPU %u releases a lock that it does not hold", harness_cpu);
	l->holder = 0;
	harness_locks--;
	harness_preempt--;
}

void spin_unlock(spinlock_t *l)
{
	/* Also with the lock still held: an interrupt may come in the critical section. */
	harness_point();
	lock_release(l);
	harness_point();
}

void spin_lock_irq(spinlock_t *l)
{
	if (harness_irqs_off)
		harness_die("spin_lock_irq() with irqs off");
	harness_irqs_off = true;
	spin_lock(l);
}

void spin_unlock_irq(spinlock_t *l)
{
	lock_release(l);
	local_irq_enable();
}

void harness_spin_lock_irqsave(spinlock_t *l, unsigned long *flags)
{
	harness_irq_save(flags);
	spin_lock(l);
}

bool harness_spin_trylock_irqsave(spinlock_t *l, unsigned long *flags)
{
	harness_irq_save(flags);
	if (spin_trylock(l))
		return true;
	harness_irq_restore(*flags);
	return false;
}

void spin_unlock_irqrestore(spinlock_t *l, unsigned long flags)
{
	lock_release(l);
	harness_irq_restore(flags);
}

void mutex_init(struct mutex *m)
{
	m->held = false;
}

void mutex_lock(struct mutex *m)
{
	might_sleep();
	if (m->held)
		harness_die("mutex taken twice");
	m->held = true;
}

void mutex_unlock(struct mutex *m)
{
	if (!m->held)
		harness_die("mutex released unheld");
	m->held = false;
}

/* === Host memory === */

/* True: this allocation is the one that is to fail. */
static bool alloc_fails(gfp_t gfp)
{
	if (gfpflags_allow_blocking(gfp))
		might_sleep();
	if (harness_fail_alloc && --harness_fail_alloc == 0)
		return true;
	harness_stat.allocs++;
	harness_stat.live++;
	return false;
}

void *harness_kmalloc(size_t size, gfp_t gfp)
{
	void *p;

	if (alloc_fails(gfp))
		return NULL;
	p = malloc(size ? size : 1);
	if (!p)
		harness_die("no memory for the harness itself");
	memset(p, gfp & __GFP_ZERO ? 0 : 0xa5, size);
	return p;
}

void *harness_krealloc(const void *p, size_t size, gfp_t gfp)
{
	void *n;

	if (!p)
		return harness_kmalloc(size, gfp);
	if (harness_fail_alloc && --harness_fail_alloc == 0)
		return NULL;
	n = realloc((void *)p, size);
	if (!n)
		harness_die("no memory for the harness itself");
	return n;
}

void kfree(const void *p)
{
	if (!p)
		return;
	harness_stat.live--;
	free((void *)p);
}

void *harness_alloc_percpu(size_t size)
{
	char *p;
	int cpu;

	if (size > HARNESS_PCPU_STRIDE)
		harness_die("%zu bytes per CPU", size);
	if (alloc_fails(GFP_KERNEL))
		return NULL;
	p = aligned_alloc(4096, NR_CPUS * HARNESS_PCPU_STRIDE);
	if (!p)
		harness_die("no memory for the harness itself");
	memset(p, 0, NR_CPUS * HARNESS_PCPU_STRIDE);
	for (cpu = 0; cpu < NR_CPUS; cpu++)
		ASAN_POISON_MEMORY_REGION(p + cpu * HARNESS_PCPU_STRIDE + size,
					  HARNESS_PCPU_STRIDE - size);
	return p;
}

void free_percpu(void *p)
{
	if (!p)
		return;
	ASAN_UNPOISON_MEMORY_REGION(p, NR_CPUS * HARNESS_PCPU_STRIDE);
	harness_stat.live--;
	free(p);
}

char *kasprintf(gfp_t gfp, const char *fmt, ...)
{
	char line[512], *p;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vscnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	p = harness_kmalloc(n + 1, gfp);
	if (p)
		memcpy(p, line, n + 1);
	return p;
}

/* === Pages === */

static void __attribute__((constructor)) harness_pages_setup(void)
{
	harness_memory = mmap(NULL, HARNESS_NR_PAGES << PAGE_SHIFT, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (harness_memory == MAP_FAILED)
		abort();
}

struct page *pfn_to_page(unsigned long pfn)
{
	if (!pfn_valid(pfn))
		harness_die("pfn %#lx has no struct page", pfn);
	return &harness_mem_map[pfn - HARNESS_PFN];
}

unsigned long page_to_pfn(const struct page *page)
{
	/* A foreign pointer gives a foreign number, as with vmemmap. */
	return ((long)page - (long)harness_mem_map) / (long)sizeof(struct page) + HARNESS_PFN;
}

void *page_address(const struct page *page)
{
	unsigned long pfn = page_to_pfn(page);

	if (!pfn_valid(pfn))
		harness_die("page_address() of a foreign page %p", page);
	return harness_memory + ((pfn - HARNESS_PFN) << PAGE_SHIFT);
}

bool virt_addr_valid(const void *addr)
{
	return (unsigned long)addr - (unsigned long)harness_memory <
	       HARNESS_NR_PAGES << PAGE_SHIFT;
}

struct page *virt_to_page(const void *addr)
{
	if (!virt_addr_valid(addr))
		harness_die("virt_to_page(%p)", addr);
	return &harness_mem_map[((unsigned long)addr - (unsigned long)harness_memory) >>
				PAGE_SHIFT];
}

/* No limit here: each report is seen. */
bool kmm_report_allowed(enum kmm_report who)
{
	return true;
}

void put_page(struct page *page)
{
	if (atomic_dec_return(&page->_refcount) <= 0)
		harness_die("the last reference of pfn %#lx was put", page_to_pfn(page));
}

/* The last frames of the array are the host's own pages. */
static unsigned long host_pages_used;

struct page *alloc_page(gfp_t gfp)
{
	struct page *page;
	unsigned int i;

	if (alloc_fails(gfp))
		return NULL;
	for (i = 0; i < 64; i++) {
		if (host_pages_used & BIT(i))
			continue;
		host_pages_used |= BIT(i);
		page = &harness_mem_map[HARNESS_NR_PAGES - 1 - i];
		set_page_count(page, 1);
		memset(page_address(page), gfp & __GFP_ZERO ? 0 : 0xa5, PAGE_SIZE);
		return page;
	}
	harness_die("host pages are used up");
}

void __free_page(struct page *page)
{
	unsigned long i = &harness_mem_map[HARNESS_NR_PAGES - 1] - page;

	if (i >= 64 || !(host_pages_used & BIT(i)))
		harness_die("__free_page() of no host page");
	host_pages_used &= ~BIT(i);
	harness_stat.live--;
}

unsigned long totalram_pages(void)
{
	return HARNESS_NR_PAGES;
}

static struct {
	void *addr;
	size_t size;
} vmaps[8];

void *vmap(struct page **pages, unsigned int count, unsigned long flags, pgprot_t prot)
{
	unsigned int i;

	might_sleep();
	(void)flags;
	(void)prot;
	for (i = 0; i < count; i++)
		page_to_pfn(pages[i]);
	if (harness_fail_alloc && --harness_fail_alloc == 0)
		return NULL;
	for (i = 0; i < ARRAY_SIZE(vmaps); i++) {
		if (vmaps[i].addr)
			continue;
		vmaps[i].size = (size_t)count << PAGE_SHIFT;
		vmaps[i].addr = mmap(NULL, vmaps[i].size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
				     -1, 0);
		if (vmaps[i].addr == MAP_FAILED)
			harness_die("no memory for the harness itself");
		harness_stat.live_vmap++;
		return vmaps[i].addr;
	}
	harness_die("too many vmaps");
}

void vunmap(const void *addr)
{
	unsigned int i;

	might_sleep();
	if (!addr)
		return;
	for (i = 0; i < ARRAY_SIZE(vmaps); i++) {
		if (vmaps[i].addr != addr)
			continue;
		munmap(vmaps[i].addr, vmaps[i].size);
		vmaps[i].addr = NULL;
		harness_stat.live_vmap--;
		return;
	}
	harness_die("vunmap(%p): not mapped", addr);
}

void sort(void *base, size_t num, size_t size, int (*cmp)(const void *a, const void *b),
	  void (*swap_func)(void *a, void *b, int size))
{
	(void)swap_func;
	qsort(base, num, size, cmp);
}

/* === CPU hotplug === */

static struct {
	int state;
	int (*up)(unsigned int cpu, struct hlist_node *n);
	int (*down)(unsigned int cpu, struct hlist_node *n);
	int (*up_single)(unsigned int cpu);
	int (*down_single)(unsigned int cpu);
	struct hlist_node *instance[16];
} hp[8];

static int cpuhp_slot(int state)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hp); i++)
		if (hp[i].state == state)
			return i;
	harness_die("cpuhp state %d", state);
}

int cpuhp_setup_state_multi(int state, const char *name,
			    int (*up)(unsigned int cpu, struct hlist_node *n),
			    int (*down)(unsigned int cpu, struct hlist_node *n))
{
	int i;

	(void)name;
	might_sleep();
	if (harness_fail_alloc && --harness_fail_alloc == 0)
		return -ENOMEM;
	i = cpuhp_slot(0);
	hp[i].state = state * 16 + i;
	hp[i].up = up;
	hp[i].down = down;
	return hp[i].state;
}

int cpuhp_setup_state_nocalls(int state, const char *name, int (*up)(unsigned int cpu),
			      int (*down)(unsigned int cpu))
{
	state = cpuhp_setup_state_multi(state, name, NULL, NULL);
	if (state > 0) {
		hp[cpuhp_slot(state)].up_single = up;
		hp[cpuhp_slot(state)].down_single = down;
	}
	return state;
}

void cpuhp_remove_multi_state(int state)
{
	int i = cpuhp_slot(state);
	unsigned int j;

	for (j = 0; j < ARRAY_SIZE(hp[i].instance); j++)
		if (hp[i].instance[j])
			harness_die("cpuhp state removed with instances");
	memset(&hp[i], 0, sizeof(hp[i]));
}

void cpuhp_remove_state_nocalls(int state)
{
	cpuhp_remove_multi_state(state);
}

int cpuhp_state_add_instance_nocalls(int state, struct hlist_node *n)
{
	int i = cpuhp_slot(state);
	unsigned int j;

	might_sleep();
	for (j = 0; j < ARRAY_SIZE(hp[i].instance); j++) {
		if (!hp[i].instance[j]) {
			hp[i].instance[j] = n;
			return 0;
		}
	}
	harness_die("too many cpuhp instances");
}

int cpuhp_state_remove_instance_nocalls(int state, struct hlist_node *n)
{
	int i = cpuhp_slot(state);
	unsigned int j;

	for (j = 0; j < ARRAY_SIZE(hp[i].instance); j++) {
		if (hp[i].instance[j] == n) {
			hp[i].instance[j] = NULL;
			return 0;
		}
	}
	harness_die("cpuhp instance was never added");
}

/* The order of the kernel: the CPU is gone before a DEAD callback runs elsewhere. */
void harness_cpu_offline(unsigned int cpu)
{
	unsigned int i, j;

	harness_online &= ~(1UL << cpu);
	if (harness_cpu == cpu)
		harness_cpu = random_online_cpu();
	for (i = 0; i < ARRAY_SIZE(hp); i++) {
		if (hp[i].down_single)
			hp[i].down_single(cpu);
		for (j = 0; hp[i].down && j < ARRAY_SIZE(hp[i].instance); j++)
			if (hp[i].instance[j])
				hp[i].down(cpu, hp[i].instance[j]);
	}
}

void harness_cpu_online(unsigned int cpu)
{
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(hp); i++) {
		if (hp[i].up_single)
			hp[i].up_single(cpu);
		for (j = 0; hp[i].up && j < ARRAY_SIZE(hp[i].instance); j++)
			if (hp[i].instance[j])
				hp[i].up(cpu, hp[i].instance[j]);
	}
	harness_online |= 1UL << cpu;
}
