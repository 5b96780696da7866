#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Run the selftests: all suites, one after the other, in the VM.
set -uo pipefail

usage() {
	cat <<'END'
usage: tools/selftests/run.sh [--count check|soak] [--ko FILE] [--with PARAMETERS] [--smoke]
                              [--part serial|concurrent] [SUITE...]

Load kmm.ko, run the suites (all, or those named), unload it. Meant for the VM:
    tools/vm/run -- tools/selftests/run.sh
on another machine it needs root and the risk is yours.

  --count check|soak   how long the random and repeated tests run (check)
  --ko FILE            the module (kmm.ko at the top of the project)
  --with PARAMETERS    for each insmod, before those that a suite asks for; one word
  --smoke              the suites of a first look: basic object mmap ops lifecycle lab
  --part serial        only suites of which nothing is done by two at the same time
  --part concurrent    only the others: with threads, or with processes that die, load or unload meanwhile
  --list               print the names of the suites

Prints the suites' TAP, indented, a line "ok N - SUITE" each, and as the last line
    N passed, N failed, N skipped
which counts tests, not suites. A suite that dies or hangs counts as one failed test.
Exit status 0 only if nothing failed and something passed.
END
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
bin=$top/build/selftests
ko=$top/kmm.ko
count=check
# lifecycle loads and unloads the module itself; lab, last, plants bugs that silence lockdep
all=(basic object mmap sync seals memfd_seals advise shm gift reopen scm_rights pins msgq pipe pipe_load ops slab vmalloc abi policy space space_hostile limits races kill9 dmabuf share_stress failnth kmemleak cmd swap lifecycle owner kfence lab)
smoke=(basic object mmap ops lifecycle lab)
# a new suite is concurrent until it is here
serial=(object seals advise reopen scm_rights pins vmalloc abi limits failnth cmd)
suites=()
with=()
first_look=
part=

while [ $# -gt 0 ]; do
	case $1 in
	-h|--help) usage; exit 0 ;;
	--count) count=${2:-}; shift ;;
	--ko) ko=${2:-}; shift ;;
	--with) read -ra with <<<"${2:-}"; shift ;;
	--part) part=${2:-}; shift ;;
	--smoke) suites=("${smoke[@]}") first_look=1 ;;
	--list) echo "${all[@]}"; exit 0 ;;
	-*) usage >&2; exit 2 ;;
	*) suites+=("$1") ;;
	esac
	shift
done
# slow kernels: KASAN, kmemleak
scale=1
if [ -e /sys/kernel/debug/kmemleak ] || grep -qs kasan /proc/kallsyms; then scale=4; fi
if [ ${#suites[@]} -eq 0 ]; then
	suites=("${all[@]}")
	# four times a region through every kind of swap: minutes
	if [ "$count" = soak ]; then suites+=(swap_load); fi
	# what the command asks for has suites of its own; its words are the same on every kernel
	if [ "$count" = check ] && [ $scale -gt 1 ]; then
		mapfile -t suites < <(printf '%s\n' "${all[@]}" | grep -vx cmd)
		echo "# cmd: on this slow kernel only with --count soak"
	fi
fi
of_serial() { printf '%s\n' "${suites[@]}" | grep -x "$@" "$(printf '%s\n' "${serial[@]}")"; }
case $part in
"") ;;
serial) mapfile -t suites < <(of_serial -F) ;;
concurrent) mapfile -t suites < <(of_serial -vF) ;;
*) usage >&2; exit 2 ;;
esac

# suite: seconds in check, seconds in soak
limit() {
	case $1/$count in
	lifecycle/check) echo 240 ;;
	lifecycle/soak|swap_load/soak) echo 2400 ;;
	swap_load/check) echo 1200 ;;
	kill9/soak|pipe_load/soak|races/soak|abi/soak|space_hostile/soak) echo 1200 ;;
	*) echo 240 ;;
	esac
}
case $count in
check) export KMM_KILLS=${KMM_KILLS:-40} KMM_CYCLES=${KMM_CYCLES:-10} KMM_RACE_MS=${KMM_RACE_MS:-1000} \
	KMM_FUZZ_ROUNDS=${KMM_FUZZ_ROUNDS:-20000} ;;
soak) export KMM_KILLS=${KMM_KILLS:-400} KMM_CYCLES=${KMM_CYCLES:-200} KMM_RACE_MS=${KMM_RACE_MS:-10000} \
	KMM_FUZZ_ROUNDS=${KMM_FUZZ_ROUNDS:-500000} KMM_SWAP_SCALE=${KMM_SWAP_SCALE:-4} \
	KMM_SWAP_KILLS=${KMM_SWAP_KILLS:-200} ;;
*) usage >&2; exit 2 ;;
esac
# base tries each failure of loading; slow kernels, and a first look at another one, one in 7, others in each run
if [ "$count" = check ] && { [ $scale -gt 1 ] || [ -n "$first_look" ]; }; then export KMM_LOAD_STEP=7; fi
importer=$(dirname "$ko")/kmm_importer.ko
export KMM_KO=$ko KMM_COMMAND=$top/build/kmm

passed=0 failed=0 skipped=0 n=0
tally() { echo "$passed passed, $failed failed, $skipped skipped"; }
out=$(mktemp)
trap 'rm -f "$out"' EXIT

echo "TAP version 13"
echo "1..${#suites[@]}"
for suite in "${suites[@]}"; do
	n=$((n + 1))
	start=$(date +%s)
	params=()
	case $suite in
	cmd) params=(lab=1) ;;
	lab)
		params=(lab=1 page_table_check=1 debug_pagealloc=1 kmemleak=1 kmemleak_min_age_ms=200 kmemleak_scan_secs=0
			kfence_sample_interval=604800000) ;;
	owner) params=(page_owner=1) ;;
	kfence) params=(kfence_sample_interval=1000) ;;
	esac
	case $suite in
	lab|cmd|lifecycle|owner|kfence) if [ -e /sys/module/kmm ]; then rmmod kmm; fi ;;
	esac
	if [ "$suite" != lifecycle ] && [ ! -e /sys/module/kmm ] && ! insmod "$ko" "${with[@]}" "${params[@]}"; then
		echo "# insmod $ko failed"
		dmesg 2>/dev/null | grep kmm | tail -n 5 | sed 's/^/# /'
		failed=$((failed + 1))
		echo "not ok $n - $suite"
		continue
	fi
	# a driver that takes dma-bufs; kernels without them have none, and the tests say so
	case $suite in
	dmabuf|share_stress|failnth)
		if [ ! -e /sys/module/kmm_importer ] && [ -e "$importer" ]; then insmod "$importer"; fi ;;
	esac
	prog=$bin/$suite
	if [ "$suite" = cmd ]; then prog=$here/cmd.sh; fi
	if [ ! -x "$prog" ]; then
		echo "# no $prog: make -C tools selftests"
		failed=$((failed + 1))
		echo "not ok $n - $suite"
		continue
	fi
	# its counts are of slabs, to the object: what kfence serves is in none
	interval=/sys/module/kmm/parameters/kfence_sample_interval was=0
	if [ "$suite" = slab ]; then was=$(cat $interval); fi
	if [ "$was" != 0 ]; then echo 0 >$interval; fi
	timeout -k 10 $(($(limit "$suite") * scale)) "$prog" </dev/null >"$out" 2>&1
	rc=$?
	if [ "$was" != 0 ]; then echo "$was" >$interval; fi
	sed 's/^/    /' "$out"
	p=$(grep -cE '^ok [0-9]+ ' "$out")
	s=$(grep -cE '^ok [0-9]+ .*# SKIP' "$out")
	f=$(grep -cE '^not ok [0-9]+ ' "$out")
	planned=$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$out" | head -n 1)
	# a test that neither passed nor failed did not run: the suite died, or was cut
	if [ $((p + f)) -ne "${planned:-0}" ] || [ "${planned:-0}" -eq 0 ]; then
		echo "# $suite: $((p + f)) of ${planned:-no} planned tests ended (status $rc)"
		f=$((f + 1))
	elif [ $rc -ne 0 ] && [ "$f" -eq 0 ]; then
		echo "# $suite: status $rc without a failed test"
		f=1
	fi
	passed=$((passed + p - s)) failed=$((failed + f)) skipped=$((skipped + s))
	word="not ok"
	if [ "$f" -eq 0 ]; then word=ok; fi
	echo "$word $n - $suite # $((p - s)) passed, $f failed, $s skipped, $(($(date +%s) - start)) s"
done
if [ -e /sys/module/kmm_importer ] && ! rmmod kmm_importer; then
	echo "# rmmod kmm_importer failed after the last suite"
	failed=$((failed + 1))
fi
if [ -e /sys/module/kmm ] && ! rmmod kmm; then
	echo "# rmmod kmm failed after the last suite"
	failed=$((failed + 1))
fi
tally
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
