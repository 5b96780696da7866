// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Tests of failure injection
 *
 * The attributes through the module parameter, fail-nth through the functions that the other
 * suites use. Questions are asked directly: no allocation is made. Other tasks of the machine
 * ask, too, and may be answered: so times is small, and no count of theirs is looked at.
 */

#include <linux/fs.h>
#include <linux/kthread.h>

#include <kmm/inject.h>

#include "helpers.h"

static void set_fail(struct kunit *test, const char *text)
{
	KUNIT_ASSERT_EQ(test, kmm_inject_set_attr(text), 0);
}

/* How many of @nr questions are answered with yes, the first of them in @first (from 1). */
static unsigned int ask(unsigned int nr, unsigned int *first)
{
	unsigned int i, yes = 0;

	*first = 0;
	for (i = 1; i <= nr; i++) {
		if (!kmm_should_fail())
			continue;
		if (!yes++)
			*first = i;
	}
	return yes;
}

static void off_never_fails(struct kunit *test)
{
	unsigned int first;

	KUNIT_EXPECT_FALSE(test, static_key_enabled(&kmm_inject_key.key));
	KUNIT_EXPECT_EQ(test, ask(1000, &first), 0);
}

static void nth_fails_once(struct kunit *test)
{
	unsigned int nth, first;

	for (nth = 1; nth <= 20; nth++) {
		kmm_inject_arm(nth);
		KUNIT_EXPECT_EQ(test, ask(50, &first), 1);
		KUNIT_EXPECT_EQ(test, first, nth);
		KUNIT_EXPECT_TRUE(test, kmm_inject_disarm());
	}
	kmm_inject_arm(51);
	KUNIT_EXPECT_EQ(test, ask(50, &first), 0);
	KUNIT_EXPECT_FALSE(test, kmm_inject_disarm());
	KUNIT_EXPECT_FALSE(test, static_key_enabled(&kmm_inject_key.key));
}

static int other_task(void *arg)
{
	unsigned int first;

	return ask(100, &first);
}

static void nth_is_of_one_task(struct kunit *test)
{
	struct task_struct *task;
	unsigned int first;
	int yes;

	task = kthread_create(other_task, NULL, "kmm_ask");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	kmm_inject_arm(10);
	get_task_struct(task);
	wake_up_process(task);
	yes = kthread_stop(task);
	put_task_struct(task);
	/* -EINTR: it was stopped before it ran; then it asked nothing */
	KUNIT_EXPECT_TRUE(test, yes == 0 || yes == -EINTR);
	KUNIT_EXPECT_EQ(test, ask(20, &first), 1);
	KUNIT_EXPECT_EQ(test, first, 10);
	KUNIT_EXPECT_TRUE(test, kmm_inject_disarm());
}

/* Nobody but the test asks between setting and asking, or the case is not decided. */
static void attributes_say_which(struct kunit *test)
{
	unsigned int first;

	/* verbose is 2: each failure of an attribute prints the kernel's line */
	set_fail(test, "1,100,0,1");
	KUNIT_EXPECT_EQ(test, ask(10, &first), 1);
	KUNIT_EXPECT_EQ(test, first, 1);
	set_fail(test, "1,100,5,2");
	KUNIT_EXPECT_EQ(test, ask(20, &first), 2);
	KUNIT_EXPECT_EQ(test, first, 6);
	set_fail(test, "4,100,0,3");
	KUNIT_EXPECT_EQ(test, ask(20, &first), 3);
	KUNIT_EXPECT_EQ(test, first, 4);
	set_fail(test, "1,0,0,-1");
	KUNIT_EXPECT_EQ(test, ask(1000, &first), 0);
	KUNIT_EXPECT_FALSE(test, static_key_enabled(&kmm_inject_key.key));
}

static void nth_goes_before_attributes(struct kunit *test)
{
	unsigned int first;

	set_fail(test, "1,100,0,1");
	kmm_inject_arm(7);
	/* the 7th by fail-nth, the 8th by the attribute, whose one time is then used up */
	KUNIT_EXPECT_EQ(test, ask(20, &first), 2);
	KUNIT_EXPECT_EQ(test, first, 7);
	KUNIT_EXPECT_TRUE(test, kmm_inject_disarm());
	set_fail(test, "1,0,0,1");
}

static void probability_is_in_percent(struct kunit *test)
{
	unsigned int yes, first;

	/* silent: 2000 stacks are too much */
	KUNIT_ASSERT_EQ(test, kmm_inject_set_verbose(0), 2);
	set_fail(test, "1,20,0,-1");
	yes = ask(10000, &first);
	set_fail(test, "1,0,0,1");
	KUNIT_EXPECT_EQ(test, kmm_inject_set_verbose(2), 0);
	/* 2000 expected, standard deviation 40: eight of them on each side */
	KUNIT_EXPECT_GT(test, yes, 1680);
	KUNIT_EXPECT_LT(test, yes, 2320);
}

static void wrong_attributes_are_refused(struct kunit *test)
{
	static const char * const bad[] = {
		"", "1", "1,100", "1,100,0", "0,100,0,1", "1,101,0,1", "1,100,-1,1", "1,100,0,-2",
		"x,100,0,1",
	};
	unsigned int i, first;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ_MSG(test, kmm_inject_set_attr(bad[i]), -EINVAL, "%s", bad[i]);
	KUNIT_EXPECT_EQ(test, ask(10, &first), 0);
}

static void inject_exit(struct kunit *test)
{
	kmm_inject_disarm();
	kmm_inject_set_attr("1,0,0,1");
}

static struct kunit_case inject_cases[] = {
	KUNIT_CASE(off_never_fails),
	KUNIT_CASE(nth_fails_once),
	KUNIT_CASE(nth_is_of_one_task),
	KUNIT_CASE(attributes_say_which),
	KUNIT_CASE(nth_goes_before_attributes),
	KUNIT_CASE(probability_is_in_percent),
	KUNIT_CASE(wrong_attributes_are_refused),
	{}
};

struct kunit_suite kmm_inject_suite = {
	.name = "kmm_inject",
	.exit = inject_exit,
	.test_cases = inject_cases,
};
