# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# For cmd.sh and cmd_usage.sh, which source it: checks that print TAP.

kmm=${KMM_COMMAND:-$(dirname "$0")/../../build/kmm}
n=0 bad=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# result NAME GOOD: one line of TAP
result() {
	n=$((n + 1))
	if [ "$2" = 1 ]; then
		echo "ok $n $1"
	else
		bad=$((bad + 1))
		sed 's/^/# /' "$tmp/out" "$tmp/err"
		echo "not ok $n $1"
	fi
}

# check NAME STATUS COMMAND...: runs it, output to $tmp/out and $tmp/err
check() {
	local name=$1 want=$2 rc
	shift 2
	"$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	rc=$?
	if [ $rc -ne "$want" ]; then echo "# status $rc, wanted $want"; fi
	result "$name" $((rc == want))
}

# claim NAME COMMAND...: something about the output of the last check
claim() {
	local name=$1
	shift
	if "$@"; then result "$name" 1; else result "$name" 0; fi
}

# await LINES FILE: until so many stand in it, for half a minute; whether they do is for a claim
await() {
	for _ in {1..300}; do
		if [ -e "$2" ] && [ "$(wc -l <"$2")" -ge "$1" ]; then break; fi
		sleep 0.1
	done
}

# hold LINES COMMAND...: until it has printed so many to $tmp/held; it goes on until release ends its input
hold() {
	local lines=$1
	shift
	rm -f "$tmp/hold"
	mkfifo "$tmp/hold"
	: >"$tmp/held"
	"$@" <"$tmp/hold" >"$tmp/held" &
	holder=$!
	exec 9>"$tmp/hold"
	await "$lines" "$tmp/held"
}

# Its status is the command's.
release() {
	exec 9>&-
	wait "$holder"
}

# One Python for all: its start takes seconds in the VM. A line in is FILE, tab, EXPRESSION.
coproc judge { python3 -uc 'import json, sys
for line in sys.stdin:
    file, expression = line.rstrip("\n").split("\t")
    try:
        j = json.load(open(file))
        print("yes" if eval(expression) else "no")
    except Exception as e:
        print(repr(e))'; }

# json EXPRESSION: true in Python for the value j that stands in $tmp/out
json() {
	local answer
	printf '%s\t%s\n' "$tmp/out" "$1" >&"${judge[1]}"
	read -r answer <&"${judge[0]}" || answer="no python"
	if [ "$answer" = yes ]; then return 0; fi
	echo "$1: $answer" >>"$tmp/err"
	return 1
}
no_escape() { ! grep -q $'\033' "$tmp/out"; }
says() { grep -qE "$2" "$tmp/$1"; }
