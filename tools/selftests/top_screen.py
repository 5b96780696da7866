#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: top_screen.py KMM KO [PARAMETER...]
       top_screen.py KMM --show [OPTION...]

kmm top on a pseudo terminal: what stands on the screen, keys, a resize, that the terminal is as it was
before, however top ends, and what happens when the module goes and comes back (insmod KO PARAMETER...).
Prints "ok NAME" or "not ok NAME" lines and what went wrong, for cmd.sh. With --show the screen
that a person would see, with options of kmm top, for the documentation.

A small VT100 is played here: it knows the sequences that ncurses sends to TERM=vt100 and no
others, and an unknown one fails the test.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

SEQUENCE = re.compile(r'\x1b(?:\[([?>]?)([0-9;]*)([A-Za-z])|([()][AB0])|([=>78DMHc]))')

RATES = r'^per s .*\n +[0-9]'
SIGNALS = signal.SIGTERM, signal.SIGINT, signal.SIGHUP


class Screen:
    """What a VT100 of this size shows; beyond is what was written behind the last column."""

    def __init__(self, rows, columns):
        self.unknown, self.pending, self.beyond = set(), '', ''
        self.resize(rows, columns)

    def resize(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cell = [[' '] * columns for _ in range(rows)]
        self.y = self.x = 0

    def text(self):
        return '\n'.join(''.join(row).rstrip() for row in self.cell)

    def control(self, private, numbers, letter):
        n = [int(v) for v in numbers.split(';') if v]
        count = n[0] if n else 1
        if letter in 'Hf':
            self.y, self.x = (n + [1, 1])[0] - 1, (n + [1, 1])[1] - 1 if len(n) > 1 else 0
        elif letter == 'A':
            self.y -= count
        elif letter == 'B':
            self.y += count
        elif letter == 'C':
            self.x += count
        elif letter == 'D':
            self.x -= count
        elif letter == 'J' and not n:
            self.cell[self.y][self.x:] = [' '] * (self.columns - self.x)
            self.cell[self.y + 1:] = [[' '] * self.columns for _ in self.cell[self.y + 1:]]
        elif letter == 'J':
            self.cell = [[' '] * self.columns for _ in self.cell]
        elif letter == 'K' and n == [1]:
            self.cell[self.y][:self.x + 1] = [' '] * (self.x + 1)
        elif letter == 'K':
            self.cell[self.y][self.x:] = [' '] * (self.columns - self.x)
        elif letter not in 'mrhl':
            self.unknown.add(private + numbers + letter)
        self.y = min(max(self.y, 0), self.rows - 1)
        self.x = min(max(self.x, 0), self.columns)

    def feed(self, data):
        data = self.pending + data
        self.pending = ''
        at = 0
        while at < len(data):
            c = data[at]
            if c == '\x1b':
                m = SEQUENCE.match(data, at)
                if not m:
                    if len(data) - at < 12:
                        self.pending = data[at:]
                        return
                    self.unknown.add(data[at:at + 6])
                    at += 1
                    continue
                if m.group(3):
                    self.control(*m.group(1, 2, 3))
                elif m.group(5) not in (None, '=', '>', '7', '8'):
                    self.unknown.add(m.group(0))
                at = m.end()
                continue
            if c == '\r':
                self.x = 0
            elif c == '\n':
                self.y = min(self.y + 1, self.rows - 1)
            elif c == '\b':
                self.x = max(self.x - 1, 0)
            elif c == '\t':
                self.x = min((self.x // 8 + 1) * 8, self.columns - 1)
            elif c >= ' ':
                if self.x < self.columns:
                    self.cell[self.y][self.x] = c
                else:
                    self.beyond += c
                self.x += 1
            at += 1


class Top:
    """A kmm top that runs on a terminal of its own."""

    def __init__(self, kmm, *options, rows=30, columns=90):
        self.master, self.slave = pty.openpty()
        self.set_size(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.screen, self.raw, self.status = Screen(rows, columns), '', None
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in 0, 1, 2:
                os.dup2(self.slave, fd)
            os.closerange(3, 64)
            for sig in SIGNALS:
                signal.signal(sig, signal.SIG_DFL)
            os.environ['TERM'] = 'vt100'
            for name in 'LINES', 'COLUMNS':
                os.environ.pop(name, None)
            os.execv(kmm, [kmm, 'top', *options])

    def set_size(self, rows, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack('4H', rows, columns, 0, 0))

    def read(self, seconds):
        """What comes within so long; True when something did."""
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        data = os.read(self.master, 65536).decode('latin-1')
        self.raw += data
        self.screen.feed(data)
        return True

    def shows(self, pattern):
        return re.search(pattern, self.screen.text(), re.M)

    def wait(self, pattern, gone=None, seconds=15):
        """Until the screen matches, and what is to be gone is gone."""
        end = time.monotonic() + seconds
        while not self.shows(pattern) or gone and self.shows(gone):
            if time.monotonic() > end:
                return False
            self.read(0.2)
        return True

    def refreshed(self):
        """Until the time of day in the first line is another one."""
        return self.wait('^kmm top [0-9:]{8} ', self.shows('^kmm top [0-9:]{8} |$').group())

    def key(self, keys):
        os.write(self.master, keys.encode())

    def end(self, seconds=15):
        """The status of wait(2), or None: it still runs and is killed."""
        end = time.monotonic() + seconds
        while self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
            elif time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                return None
            else:
                self.read(0.05)
        while self.read(0.1):
            pass
        return self.status

    def restored(self):
        """The terminal's attributes are as before."""
        return termios.tcgetattr(self.slave) == self.before


def claim(name, good, top=None):
    print('%s %s' % ('ok' if good else 'not ok', name))
    if not good and top:
        print(top.screen.text())
        print(repr(top.raw[-300:]))


def show(kmm, options):
    top = Top(kmm, '--table', 'slab', *options, rows=24, columns=80)
    top.wait('no such text', seconds=5)
    print(top.screen.text())
    top.key('q')
    return top.end()


def rmmod():
    """Refused only for the moment of a snapshot."""
    end = time.monotonic() + 15
    while subprocess.call(['rmmod', 'kmm'], stderr=subprocess.DEVNULL):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_reload(kmm, insmod):
    top = Top(kmm, '--interval', '0.2')
    drawn = top.wait('kmalloc-4k$')
    claim('rmmod while it runs', drawn and rmmod(), top)
    claim('it says that the module has gone', top.wait('no /dev/kmm', 'kmalloc'), top)
    claim('insmod', not subprocess.call(['insmod', *insmod]), top)
    claim('it goes on', top.wait('kmalloc-4k$', 'no /dev/kmm'), top)
    top.key('q')
    claim('and ends with 0', top.end() == 0, top)


def test_screen(kmm):
    # somebody who has an account
    client = os.open('/dev/kmm', os.O_RDWR)
    top = Top(kmm, '--interval', '0.3')
    claim('top draws the region', top.wait('^kmm top [0-9:]{8}  every 0.3 s') and
          top.wait(r'^frames  \[[m#gqlc.]{60}\]$'), top)
    claim('top draws the table of caches', top.wait(r'kmalloc-4k$'), top)
    claim('top names its keys in the last line', top.wait(r'^1 slab 2 accounts .* q quit.*\Z'), top)
    claim('top has rates after a moment', top.wait(RATES), top)
    claim('the terminal is raw while top runs', not top.restored(), top)
    top.key('h')
    claim('h: help', top.wait('kmm top: keys', 'kmalloc'), top)
    top.key('x')
    claim('a key leaves it', top.wait('kmalloc-4k$', 'keys$'), top)
    top.key('2')
    claim('2: accounts', top.wait(r'ID KIND .*MEMORY\*.*COMMAND') and top.wait('^ +[0-9]+ user .* -$'), top)
    top.key('>')
    claim('>: the next column sorts', top.wait(r'MEMORY .*MAX\*'), top)
    top.key('r')
    claim('r: the other way round', top.wait(r'MAX\^'), top)
    top.key('+')
    claim('+: slower', top.wait('every 0.6 s'), top)
    top.key('1')
    top.screen.resize(20, 60)
    top.set_size(20, 60)
    # our screen is empty: both lines come only when all is drawn anew
    claim('a resize: the keys stand in the new last line', top.wait(r'\Akmm top(.*\n){19}1 slab'), top)
    top.screen.beyond = ''
    top.key('h')
    drawn = top.wait('kmm top: keys', 'kmalloc')
    top.key('x')
    claim('no line is longer', drawn and top.wait('OBJS', 'keys$') and top.refreshed() and not top.screen.beyond, top)
    top.key('q')
    claim('q: ends with 0', top.end() == 0, top)
    os.close(client)
    claim('q: the terminal is as it was', top.restored(), top)
    claim('nothing but what a VT100 knows', not top.screen.unknown, top)
    if top.screen.unknown:
        print(top.screen.unknown)

    for sig in SIGNALS:
        top = Top(kmm)
        drawn = top.wait('kmalloc')
        os.kill(top.pid, sig)
        status = top.end()
        claim('%s ends it, by that signal' % sig.name,
              drawn and status is not None and os.WIFSIGNALED(status) and os.WTERMSIG(status) == sig, top)
        claim('%s: the terminal is as it was' % sig.name, top.restored(), top)

    top = Top(kmm, '--interval', '0.3', '--count', '1')
    claim('--count 1 ends by itself', top.end() == 0, top)
    claim('with a screen that has rates, as in --batch', top.shows(RATES), top)

    top = Top(kmm, '--interval', '3600')
    drawn = top.wait(RATES)
    top.key('-' * 16)
    claim('-: faster, at once', drawn and top.wait('every 0.1 s') and top.refreshed(), top)
    top.key('q')
    top.end()

    top = Top(kmm, rows=5, columns=20)
    claim('a tiny terminal', top.wait('^kmm top') and top.wait('^1 slab'), top)
    os.close(top.slave)
    os.close(top.master)
    end = time.monotonic() + 15
    pid = 0
    while not pid and time.monotonic() < end:
        pid, status = os.waitpid(top.pid, os.WNOHANG)
        time.sleep(0.05)
    claim('a terminal that goes away ends it', pid)
    if not pid:
        os.kill(top.pid, signal.SIGKILL)


def main(kmm, *rest):
    kmm = os.path.realpath(kmm)
    if rest[0] == '--show':
        return show(kmm, rest[1:])
    test_screen(kmm)
    test_reload(kmm, rest)
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
