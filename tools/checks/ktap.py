#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: ktap.py [--expect NAME]... FILE...    count results, print what is wrong
       ktap.py --self-test                     check the parser on its own samples

Reads TAP and KTAP as KUnit, kselftest_harness.h and our scripts print it, alone or in the
middle of a kernel log. Counts the innermost results only: a suite is the sum of its cases.

What counts as one failure more, because a crash must not look like success: a plan (1..N)
that is not met, a subtest without its own result line, a parent whose result contradicts
its cases, "Bail out!", an expected subtest (--expect) that never came, and no result at all.

Last line: N passed, N failed, N skipped. Exit status 1 unless there are results and none failed.
"""
import re
import sys

STAMP = re.compile(r'^(?:<\d+>)?\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ')
HEADER = re.compile(r'^( *)K?TAP version \d+$')
SUBTEST = re.compile(r'^( *)# Subtest: *(\S.*)$')
PLAN = re.compile(r'^( *)1\.\.(\d+)(\s+#\s*SKIP.*)?$', re.I)
RESULT = re.compile(r'^( *)(ok|not ok)\s+(\d+)(?:\s+-)?(?:\s+(.*))?$')
SKIP = re.compile(r'(?:^|\s)#\s*SKIP\b.*$', re.I)


class Level:
    def __init__(self, name, line):
        self.name, self.line = name, line
        self.plan = None
        self.seen = self.bad = 0


class Parser:
    """feed() every line, then end()."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.problems = []      # each is one of the failed
        self.failures = []      # (name of a case that failed, the lines before it)
        self.names = set()      # subtests and cases that were seen
        self.levels = {0: Level('', 0)}     # by indent
        self.number = 0
        self.recent = []        # lines since the last result

    @property
    def total(self):
        return self.passed + self.failed + self.skipped

    def problem(self, text):
        self.problems.append('line %d: %s' % (self.number, text))
        self.failed += 1

    def met(self, level):
        """The plan of a level that ends now."""
        if level.plan is not None and level.plan != level.seen:
            self.problem('%s planned %d results, gave %d' %
                         (level.name or 'the file', level.plan, level.seen))

    def cut(self, indent):
        """Everything deeper than indent ends without a result of its own."""
        for i in sorted((i for i in self.levels if i > indent), reverse=True):
            level = self.levels.pop(i)
            self.problem('subtest "%s" (line %d) has no result' % (level.name, level.line))
            self.met(level)

    def root(self):
        """A new document begins, or the last one ends."""
        self.cut(0)
        self.met(self.levels[0])
        self.levels = {0: Level('', self.number)}

    def open(self, indent, name):
        self.cut(indent - 1)
        self.levels[indent] = Level(name, self.number)

    def feed(self, raw):
        self.number += 1
        self.recent = self.recent[-9:] + [raw.rstrip()]
        line = STAMP.sub('', raw.rstrip('\r\n'), count=1)
        m = HEADER.match(line)
        if m:
            if m.group(1):
                self.open(len(m.group(1)), '?')
            else:
                self.root()
            return
        m = SUBTEST.match(line)
        if m:
            indent, name = len(m.group(1)), m.group(2).strip()
            top = self.levels.get(indent)
            if not indent:
                return
            if top and top.name == '?' and not top.seen and top.plan is None:
                top.name = name
            else:
                self.open(indent, name)
            self.names.add(name)
            return
        m = PLAN.match(line)
        if m:
            indent, plan = len(m.group(1)), int(m.group(2))
            if indent not in self.levels:
                self.open(indent, '?')
            level = self.levels[indent]
            if level.plan is not None:
                self.problem('a second plan for %s' % (level.name or 'the file'))
            level.plan = plan
            if plan == 0:
                # That was all of it. The kernel says it at boot when no suite is built in.
                self.skipped += bool(m.group(3))
                if indent == 0:
                    self.root()
            return
        m = RESULT.match(line)
        if m:
            self.result(len(m.group(1)), m.group(2) == 'ok', m.group(3), m.group(4) or '')
            self.recent = []
            return
        if line.lstrip().startswith('Bail out!'):
            self.problem(line.strip())

    def result(self, indent, ok, number, text):
        skip = bool(SKIP.search(text))
        name = SKIP.sub('', text).strip() or 'number ' + number
        deeper = sorted(i for i in self.levels if i > indent)
        child = None
        if deeper:
            child = self.levels.pop(deeper[0])
            for i in deeper[1:]:
                level = self.levels.pop(i)
                self.problem('subtest "%s" (line %d) has no result' % (level.name, level.line))
        if indent not in self.levels:
            self.open(indent, '?')
        level = self.levels[indent]
        level.seen += 1
        self.names.add(name)
        if not ok and not skip:
            level.bad += 1
        if child and child.name not in ('?', name):
            self.problem('subtest "%s" (line %d) has no result' % (child.name, child.line))
            child = None
        if child:
            self.met(child)
            if ok and child.bad:
                self.problem('"%s" is ok, but %d of its cases are not' % (name, child.bad))
            elif not ok and not child.bad:
                self.problem('"%s" is not ok, but no case of it failed' % name)
            elif not child.seen and not skip:
                self.problem('"%s" has no case' % name)
        elif skip:
            self.skipped += 1
        elif ok:
            self.passed += 1
        else:
            self.failed += 1
            self.failures.append((name, self.recent[:-1]))

    def end(self, expect=()):
        self.number += 1
        self.root()
        for name in expect:
            if name not in self.names:
                self.problem('"%s" never came' % name)
        if not self.total:
            self.problem('no test ran')
        return self

    def report(self):
        return ['\n'.join(['not ok: ' + name] + ['    ' + line for line in before])
                for name, before in self.failures] + self.problems


def parse(lines, expect=()):
    parser = Parser()
    for line in lines:
        parser.feed(line)
    return parser.end(expect)


def summary(passed, failed, skipped):
    return '%d passed, %d failed' % (passed, failed) + (', %d skipped' % skipped if skipped else '')


KUNIT = '''\
[    1.000000]     KTAP version 1
[    1.000000]     # Subtest: one
[    1.000000]     1..2
[    1.100000]     # a: seed 5
[    1.100000]     ok 1 a
[    1.100000] kmm: something else
[    1.200000]     ok 2 b
[    1.200000] # one: pass:2 fail:0 skip:0 total:2
[    1.200000] ok 1 one
'''
PARAM = '''\
    KTAP version 1
    # Subtest: s
    1..2
        KTAP version 1
        # Subtest: p
        ok 1 size=1
        ok 2 size=2
    # p: pass:2 fail:0 skip:0 total:2
    ok 1 p
    ok 2 q # SKIP no CMA
ok 3 s
'''
HARNESS = '''\
TAP version 13
1..3
# Starting 3 tests from 1 test cases.
#  RUN           global.x ...
ok 1 global.x
not ok 2 global.y
ok 3 # SKIP not root
# FAILED: 2 / 3 tests passed.
'''
SAMPLES = (
    # name, text, expected subtests, passed, failed, skipped
    ('kunit', KUNIT, ('one', 'a'), 2, 0, 0),
    ('kunit with a caller', KUNIT.replace('] ', '][   T12] '), ('one',), 2, 0, 0),
    ('two suites', KUNIT + KUNIT.replace('one', 'two'), ('one', 'two'), 4, 0, 0),
    ('no suite built in', '[    0.500000] KTAP version 1\n[    0.500000] 1..0\n' + KUNIT, ('one',), 2, 0, 0),
    ('an empty plan', 'TAP version 13\n1..0\n', (), 0, 1, 0),
    ('a suite never came', KUNIT, ('one', 'two'), 2, 1, 0),
    ('a case fails', KUNIT.replace('    ok 2 b', '    not ok 2 b').replace('] ok 1', '] not ok 1'), (), 1, 1, 0),
    ('a case fails, the suite lies', KUNIT.replace('    ok 2 b', '    not ok 2 b'), (), 1, 2, 0),
    ('suite fails, no case does', KUNIT.replace('] ok 1 one', '] not ok 1 one'), (), 2, 1, 0),
    ('crash in a case', KUNIT[:KUNIT.index('[    1.200000]')], (), 1, 2, 0),
    ('crash before the first case', KUNIT[:KUNIT.index('[    1.100000]')], (), 0, 2, 0),
    ('crash, then another suite', KUNIT[:KUNIT.index('[    1.200000]')] + KUNIT.replace('one', 'two'), (), 3, 2, 0),
    ('a case is missing', KUNIT.replace('1..2', '1..3'), (), 2, 1, 0),
    ('parameters', PARAM, ('s', 'p'), 2, 0, 1),
    ('parameter subtest cut', PARAM.replace('    ok 1 p\n', ''), (), 2, 2, 1),
    ('harness', HARNESS, (), 1, 1, 1),
    ('harness cut', HARNESS.replace('ok 3 # SKIP not root\n', ''), (), 1, 2, 0),
    ('two files', HARNESS + HARNESS, (), 2, 2, 2),
    ('nothing', 'hello\n', (), 0, 1, 0),
    ('bail out', 'TAP version 13\nok 1 a\nBail out! no device\n', (), 1, 1, 0),
    ('all skipped', 'TAP version 13\n1..0 # SKIP no root\n', (), 0, 0, 1),
    ('dashes', 'ok 1 - a\nok 2 - b # SKIP x\nnot ok 3 - c\n', (), 1, 1, 1),
)


def self_test():
    bad = 0
    print('TAP version 13\n1..%d' % len(SAMPLES))
    for n, (name, text, expect, *want) in enumerate(SAMPLES, 1):
        p = parse(text.splitlines(), expect)
        got = [p.passed, p.failed, p.skipped]
        bad += got != want
        print('%s %d - %s' % ('ok' if got == want else 'not ok', n, name))
        if got != want:
            print('# wanted %s, got %s: %s' % (want, got, p.report()))
    return 1 if bad else 0


def main(argv):
    if argv == ['--self-test']:
        return self_test()
    expect, files = [], []
    while argv:
        word = argv.pop(0)
        if word == '--expect' and argv:
            expect.append(argv.pop(0))
        elif word.startswith('-'):
            print(__doc__.strip(), file=sys.stdout if word in ('-h', '--help') else sys.stderr)
            return 0 if word in ('-h', '--help') else 2
        else:
            files.append(word)
    if not files:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    parser = Parser()
    for path in files:
        with open(path, errors='replace') as f:
            for line in f:
                parser.feed(line)
    parser.end(expect)
    for text in parser.report():
        print(text)
    print(summary(parser.passed, parser.failed, parser.skipped))
    return 1 if parser.failed or not parser.passed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
