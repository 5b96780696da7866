#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The tour of "make demo": runs in the VM, from insmod to "region returned".
set -euo pipefail

usage() {
	cat <<'END'
usage: tools/demo.sh [--ko FILE] [PARAMETER=VALUE...]

Load kmm.ko, run the example program, show what the command and debugfs tell,
unload, and prove that the host has its memory back. Meant for the VM ("make demo"):
    tools/vm/run -- tools/demo.sh
The parameters go to insmod (region_mb=, provider=).
END
}

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
ko=$top/kmm.ko
params=()
while [ $# -gt 0 ]; do
	case $1 in
	-h|--help) usage; exit 0 ;;
	--ko) ko=$2; shift ;;
	*=*) params+=("$1") ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done
kmm=$top/build/kmm
debugfs=/sys/kernel/debug/kmm

title() { printf '\n=== %s\n' "$*"; }
run() { printf '$ %s\n' "${*/#$top\//}"; "$@"; }
show() { printf '$ cat %s\n' "$1"; cat "$1"; }
meminfo() { sed -n "s/^$1: *\([0-9]*\) kB/\1/p" /proc/meminfo; }

# Pages taken from CMA, to the page. CmaFree alone also moves with the page cache, which
# may borrow from CMA; without CMA or its debugfs there is only the log line to look at.
cma_used() {
	local f sum=0 any=
	for f in /sys/kernel/debug/cma/*/used; do
		if [ -r "$f" ]; then any=1 sum=$((sum + $(cat "$f"))); fi
	done
	if [ -n "$any" ]; then echo $sum; fi
}
memory() {
	local cma
	cma=$(meminfo CmaFree)
	printf 'MemFree %s kB%s%s\n' "$(meminfo MemFree)" "${cma:+, CmaFree $cma kB}" \
		"$(cma_used | sed 's/.*/, & pages of CMA in use/')"
}

title "The machine before"
run uname -sr
memory
before=$(cma_used)
run "$kmm" doctor || true

title "insmod: the module takes its region"
run insmod "$ko" lab=1 page_owner=1 "${params[@]}"
memory
during=$(cma_used)
run "$kmm" info

title "A user program allocates, maps, shares with a child"
run "$top/build/examples/demo"

title "How it started: the steps of mm_init, and where the region is"
show $debugfs/mm_init
show $debugfs/region

title "page_owner: who has the frames, while a command holds an object of 4 MiB"
run "$kmm" object create --size 4M --pattern -- "$kmm" owner --top 2

title "Who has what: an object of 4 MiB while a command holds it"
run "$kmm" object create --size 4M --pattern -- cat $debugfs/objects $debugfs/meminfo

title "The same as a dma-buf: a device of the host could use it now"
run "$kmm" object create --size 4M --export -- cat /sys/kernel/debug/dma_buf/bufinfo $debugfs/objects

title "A pipe of kmm between two commands"
run "$kmm" pipe run -- seq 100000 '|' sh -c "$kmm pipe info && tail -n 1"

title "Two processes share an object by its name, then one gives it away"
run "$top/build/examples/share"

title "Two processes talk through message queues, and hand over 1 MiB"
run "$top/build/examples/chat"
run "$kmm" msgq create tour --maxmsg 3 --msgsize 100
run "$kmm" msgq send tour "sent first"
run "$kmm" msgq send tour "more important" --prio 9
show $debugfs/msgq
run "$kmm" msgq receive tour
run "$kmm" msgq unlink tour

title "Free memory by order, like the kernel's own /proc/buddyinfo"
show $debugfs/buddyinfo
run "$kmm" alloc --order 3 --count 100
run "$kmm" frag --map

title "All of it at a glance, as kmm top shows it every two seconds, while a command holds 4 MiB"
run "$kmm" object create --size 4M --pattern -- "$kmm" top --batch --count 1 --interval 0.5 --table accounts

title "What it costs, beside the host's own, in nanoseconds of this machine"
run "$kmm" bench fault_first_touch msgq_64_roundtrip msg_1m_gift ops_page_o0_pair

title "vmalloc in kmm's own window of kernel addresses, with leaves of 2 MiB"
run "$kmm" vmap alloc --size 12K --count 2
run sh -c "sleep 2 | $kmm vmap alloc --size 5M --wait & sleep 1; cat $debugfs/vmallocinfo; wait"

title "An address space on page tables of its own: map, walk, protect, fault, clone"
run "$kmm" space run 'map anon 64K at 0x10000000' 'write @ "hello world"' 'walk @' \
	'clone copy' 'use copy' 'write @ HELLO' 'read @ 11' 'use s0' 'read @ 11' \
	'protect @ 4K r' 'write @ again' 'fetch @' 'maps' 'info'

title "Page replacement: the reference string of the books, 3 frames, then 4: fifo gets worse"
run sh -c "echo 1 2 3 4 1 2 5 1 2 3 4 5 | $kmm policy replay --frames 3 -"
run sh -c "echo 1 2 3 4 1 2 5 1 2 3 4 5 | $kmm policy replay --frames 4 --policy fifo -"

title "Hardening, switched at run time with Linux's precedence"
switches=/sys/module/kmm/parameters
run sh -c "echo 1 >$switches/init_on_alloc; $kmm info | grep debugging"
run sh -c "echo 1 >$switches/page_poison; $kmm info | grep debugging; dmesg | grep auto-init: | tail -n 1"
run sh -c "echo 0 >$switches/page_poison; $kmm info | grep debugging; echo 0 >$switches/init_on_alloc"

title "The bug gym: a bug on purpose, who catches it, how to read the report"
run sh -c "$kmm lab list | head -n 12"
echo "kmm-expect: ^BUG lab \\(kmm\\): Poison overwritten x1" >/dev/kmsg
run sh -c "$kmm lab bug use-after-free | grep -v ' R[A-Z0-9]*: \| Code: \| CPU: '"
echo "kmm-expect-end" >/dev/kmsg

title "kfence: one object in some milliseconds has a page of its own, between two that are not there"
run sh -c "echo 100 >$switches/kfence_sample_interval"
echo "kmm-expect: ^BUG: KFENCE: out-of-bounds read in x1" >/dev/kmsg
run sh -c "$kmm lab bug kfence-out-of-bounds"
echo "kmm-expect-end" >/dev/kmsg
run sh -c "echo 0 >$switches/kfence_sample_interval"

title "A client loses an object: kmemleak finds it by the second scan"
run sh -c "echo 0 >/sys/module/kmm/parameters/kmemleak_min_age_ms"
run "$kmm" leak on
run insmod "$(dirname "$ko")/kmm_leaky.ko"
run sh -c "echo object >/sys/module/kmm_leaky/parameters/plant"
run "$kmm" leak scan --count 2
run rmmod kmm_leaky
run "$kmm" leak off

title "A region of 8 MiB, filled three times over: pages go to swap, and come back unharmed"
run rmmod kmm
run insmod "$ko" "${params[@]}" region_mb=8
swapfile=$(mktemp -u /tmp/kmm.swap.XXXXXX)
run "$kmm" swap on --ram 8M --priority 1
run "$kmm" swap on --create 32M "$swapfile"
run "$top/build/examples/swap"
run "$kmm" swap list
run grep -E '^(pgsteal|pswp|workingset)' $debugfs/vmstat
run "$kmm" swap off --all
rm "$swapfile"

title "Who decides which page goes? References as of a web cache, 512 pages, 64 frames, each policy"
run sh -c "$kmm trace make zipf0.8 --pages 512 --references 8000 | $kmm policy replay --frames 64 -"

title "rmmod: everything goes back"
run rmmod kmm
memory
after=$(cma_used)
dmesg | grep -E 'kmm: unloaded' | tail -n 1
if ! dmesg | grep -E 'kmm: unloaded' | tail -n 1 | grep -q 'region returned'; then
	echo "demo: the module did not say that the region was returned" >&2
	exit 1
fi
if [ "$before" != "$after" ]; then
	echo "demo: CMA pages in use: $before before, $after after" >&2
	exit 1
fi
if [ -n "$before" ] && [ "$during" != "$before" ]; then
	echo "region returned: CMA pages in use $before before, $during while loaded, $after after"
else
	echo "region returned"
fi
