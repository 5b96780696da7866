#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The kmm command where no module is needed: help, wrong usage, doctor on machines in folders. TAP.
set -uo pipefail

# shellcheck source=cmd_lib.sh
. "$(dirname "$0")/cmd_lib.sh"

# a machine in a folder, for doctor --root: machine DIR CONFIG CMDLINE CMATOTAL
machine() {
	mkdir -p "$1"/{proc/sys/kernel,sys/kernel/security,boot,lib/modules/6.1.0/build}
	echo 6.1.0 >"$1/proc/sys/kernel/osrelease"
	printf '%s\n' CONFIG_MODULES=y CONFIG_DEBUG_FS=y $2 >"$1/boot/config-6.1.0"
	echo "$3" >"$1/proc/cmdline"
	echo 'MemTotal: 1000000 kB' >"$1/proc/meminfo"
	if [ -n "$4" ]; then printf 'CmaTotal: %s kB\nCmaFree: %s kB\n' "$4" "$4" >>"$1/proc/meminfo"; fi
	echo 'debugfs /sys/kernel/debug debugfs rw 0 0' >"$1/proc/mounts"
	touch "$1/lib/modules/6.1.0/build/Makefile"
	echo '[none] integrity confidentiality' >"$1/sys/kernel/security/lockdown"
}

echo "TAP version 13"
echo "1..75"

check "no verb is wrong usage" 64 "$kmm"
check "an unknown verb is wrong usage" 64 "$kmm" frobnicate
check "--help" 0 "$kmm" --help
claim "--help lists the verbs" says out '^ +doctor '
for verb in info features doctor stat alloc object frag owner slab vmap pipe msgq space walk lab policy trace leak swap top bench; do
	check "$verb --help" 0 "$kmm" $verb --help
	claim "$verb --help tells its use" says out 'Usage: kmm '"$verb"
done

check "alloc of order 11 is wrong usage" 64 "$kmm" alloc --order 11
check "msgq send of a wrong priority is wrong usage" 64 "$kmm" msgq send cmd-test x --prio 32
check "pipe run without a command is wrong usage" 64 "$kmm" pipe run -- true '|'
check "owner --by nonsense is wrong usage" 64 "$kmm" owner --by nonsense
check "owner perhaps is wrong usage" 64 "$kmm" owner perhaps
check "slab explain without an address is wrong usage" 64 "$kmm" slab explain
check "slab explain of no address is wrong usage" 64 "$kmm" slab explain here
check "vmap alloc of wx is wrong usage" 64 "$kmm" vmap alloc --prot wx
check "swap without a word is wrong usage" 64 "$kmm" swap
check "swap on of nothing is wrong usage" 64 "$kmm" swap on
check "object advise of what there is not is wrong usage" 64 "$kmm" object advise "cmd pages" hot
claim "and says what there is" says err 'none of pageout, cold, willneed'
check "object limit of no size is wrong usage" 64 "$kmm" object limit "cmd pages" many
check "policy replay without frames is wrong usage" 64 "$kmm" policy replay "$tmp/book"
check "lab bug without a name is wrong usage" 64 "$kmm" lab bug
check "lab fail without a command is wrong usage" 64 "$kmm" lab fail

check "top of no table is wrong usage" 64 "$kmm" top --table cakes
check "top by a column of another table is wrong usage" 64 "$kmm" top --sort pid
check "top at no interval is wrong usage" 64 "$kmm" top --interval 0
check "bench of no round is wrong usage" 64 "$kmm" bench --rounds 0
check "bench of a row that there is not is wrong usage" 64 "$kmm" bench page_o0_none
check "bench --list of a row is wrong usage" 64 "$kmm" bench --list page_o0_pair
# the rows as the programs and kmm_bench.ko have them, by their sources
bench=$(dirname "$0")/../bench
{
	sed -n 's/^.*row[a-z_]*("\([a-z0-9_]*\)", .*/\1/p; s/^.*printf("row \([a-z0-9_]*\) .*/\1/p' \
		"$bench"/{fault,pipe,msgq,ops,space}_bench.c
	sed -n 's/^.*[ \t]BENCH_ROW(\([a-z0-9_]*\),.*/\1/p; s/^.*\.name = "\([a-z0-9_]*\)", .*/\1/p; s/^\tLRU_ROW(\([a-z]*\)).*/lru_pair_\1/p' \
		"$bench"/bench_{main,vmap,lru}.c
} | sort >"$tmp/err"
"$kmm" bench --list | cut -d ' ' -f 1 | sort >"$tmp/out"
claim "bench --list has the rows of the programs and the module" cmp "$tmp/out" "$tmp/err"

machine "$tmp/good" 'CONFIG_CMA=y CONFIG_DMA_CMA=y' 'quiet cma=128M' 131072
check "doctor: a good machine" 0 "$kmm" doctor --root "$tmp/good" --json
claim "doctor: all but the module is ok" json 'all(c["verdict"] == "ok" for c in j["checks"] if c["check"] != "module")'
machine "$tmp/nocma" 'CONFIG_CMA=n' quiet ''
"$kmm" doctor --root "$tmp/nocma" >"$tmp/out"
claim "doctor: no CMA is said" says out '^warn cma .*no CMA'
machine "$tmp/zero" 'CONFIG_CMA=y CONFIG_DMA_CMA=y' quiet 0
"$kmm" doctor --root "$tmp/zero" >"$tmp/out"
claim "doctor: says the cma= to add" says out 'add cma=128M'
machine "$tmp/locked" 'CONFIG_CMA=y CONFIG_DMA_CMA=y CONFIG_MODULE_SIG=y CONFIG_MODULE_SIG_FORCE=y' 'cma=128M' 131072
echo 'none [integrity] confidentiality' >"$tmp/locked/sys/kernel/security/lockdown"
: >"$tmp/locked/proc/mounts"
rm -r "$tmp/locked/lib"
check "doctor: lockdown and forced signatures fail" 1 "$kmm" doctor --root "$tmp/locked" --json
claim "doctor: each with what to do" json '{c["check"]: c["verdict"] for c in j["checks"]}["lockdown"] == "fail" and {c["check"] for c in j["checks"] if c["fix"]} >= {"lockdown", "signature", "debugfs", "headers"}'
[ $bad -eq 0 ]
