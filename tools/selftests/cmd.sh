#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The kmm command against the loaded module: every verb, as text and as JSON. TAP.
set -uo pipefail

# shellcheck source=cmd_lib.sh
. "$(dirname "$0")/cmd_lib.sh"

echo "TAP version 13"
echo "1..297"

check "info" 0 "$kmm" info
claim "info names the provider" says out 'from provider (cma|contig|chunks)'
claim "info tells what is on" says out '^debugging, hardening '
claim "no colour into a file" no_escape
check "--json info" 0 "$kmm" --json info
claim "--json info is right" json 'j["region_bytes"] > 0 and j["page_size"] == 4096 and j["order_max"] == 10'
claim "--json info tells of the switches" json 'j["debugging"]["page_poison"] in (0, 1) and j["debugging"]["page_table_check"] in (0, 1)'
claim "--json info tells of injected failures and life cycles" json 'j["debugging"]["fail"] == 0 and j["debugging"]["debug_objects"] in (0, 1)'
check "info --json" 0 "$kmm" info --json
claim "info --json is right" json 'j["file_limits"]["frames"] is None or j["file_limits"]["frames"] > 0'
check "features --json" 0 "$kmm" features --json
claim "features --json is right" json 'j["objects"] and j["ops_pages"] and j["unknown_bits"] == 0'
check "stat --json" 0 "$kmm" stat --json
claim "stat --json adds up" json 'j["sum"] == j["total"] and j["exact"]'
check "alloc" 0 "$kmm" alloc --order 3 --count 100
claim "alloc says how many" says out 'allocated 100 blocks of order 3'
check "alloc --json" 0 "$kmm" alloc -o 2 -c 10 --zero --json
claim "alloc --json is right" json 'j["allocated"] == 10 and j["used_during"] == j["used_before"] + 40 and j["used_after"] == j["used_before"]'
check "alloc of too much fails" 1 "$kmm" alloc --order 10 --count 100 --json
claim "alloc of too much says why" says err 'could not be had'
check "object create --pattern" 0 "$kmm" object create --size 300K --pattern --json
claim "object create is right" json 'j["verified"] and j["size_bytes"] == 307200 and j["resident"] == 75'
check "object create of size 0 fails" 1 "$kmm" object create --size 0
# the command writes through descriptor 3 and sees what it wrote in the list
check "object create -- COMMAND" 7 "$kmm" object create --size 64K --seals grow -- \
	bash -c 'echo hello >&3 && '"$kmm"' object list --json >&2; exit 7'
cp "$tmp/err" "$tmp/out"
claim "object list --json sees it" json 'len(j) == 1'
check "object create --export" 0 "$kmm" object create --size 64K --seals write --rdonly --export -- \
	bash -c 'readlink /proc/self/fd/4 && '"$kmm"' object list --json >&2'
claim "descriptor 4 is a dma-buf" says out '^/dmabuf:'
cp "$tmp/err" "$tmp/out"
claim "object list --json sees the pin" json 'j[0]["pins"] == 1'
check "object create --export of a sealed object fails" 1 "$kmm" object create --seals write --export
claim "and says what to add" says err 'add --rdonly'

check "msgq create --json" 0 "$kmm" msgq create cmd-test --maxmsg 3 --msgsize 100 --json
claim "msgq create is right" json 'j["name"] == "cmd-test" and j["maxmsg"] == 3 and j["msgsize"] == 100 and j["messages"] == 0'
check "msgq create of what there is fails" 1 "$kmm" msgq create cmd-test
"$kmm" msgq send cmd-test 'first of the low'
echo -n 'high' | "$kmm" msgq send cmd-test --prio 9
"$kmm" msgq send cmd-test 'second of the low' --prio 0
check "msgq send to a full queue fails" 1 "$kmm" msgq send cmd-test x --nowait
check "msgq send of too much fails" 1 "$kmm" msgq send cmd-test "$(printf '%101s' x)" --nowait
claim "msgq send of too much says why" says err 'Message too long'
check "msgq list" 0 "$kmm" msgq list --json
claim "msgq list --json sees it" json '[(q["messages"], q["linked"]) for q in j if q["name"] == "cmd-test"] == [(3, 1)]'
check "msgq receive --json" 0 "$kmm" msgq receive cmd-test --json
claim "msgq receive gives the highest" json 'j == {"prio": 9, "size_bytes": 4, "message": "high"}'
check "msgq receive" 0 "$kmm" msgq receive cmd-test
claim "msgq receive is first in first out" says out '^first of the low$'
check "msgq info" 0 "$kmm" msgq info cmd-test
claim "msgq info counts" says out '1 of 3 messages, 17 B of up to 100 B each'
"$kmm" msgq receive cmd-test >/dev/null
check "msgq receive in vain fails" 1 "$kmm" msgq receive cmd-test --timeout 10
claim "msgq receive in vain says why" says err 'timed out'
check "msgq unlink" 0 "$kmm" msgq unlink cmd-test
check "msgq unlink twice fails" 1 "$kmm" msgq unlink cmd-test

check "pipe run" 0 "$kmm" pipe run -- seq 20000 '|' tee /dev/null '|' tail -n 1
claim "all bytes went through the pipes" says out '^20000$'
check "pipe run gives the last status" 7 "$kmm" pipe run -- true '|' sh -c 'cat; exit 7'
check "pipe run with one command" 0 "$kmm" pipe run -- true
check "pipe run of what there is not" 127 "$kmm" pipe run -- true '|' /nonexistent
check "pipe run with a size too large fails" 1 "$kmm" pipe run --size 1G -- true '|' true
check "pipe info in a pipeline" 0 "$kmm" pipe run --size 10000 --packet -- echo hello '|' \
	sh -c 'until "$0" pipe info | grep -q "write end closed"; do :; done; exec "$0" pipe info --json' "$kmm"
claim "pipe info is right" json 'j["bytes"] == 6 and j["size_bytes"] == 16384 and j["frames"] == 1 and j["readers"] == 1 and j["writers"] == 0 and j["flags"] == 2'
check "pipe info as text" 0 "$kmm" pipe run -- echo hello '|' "$kmm" pipe info 0
claim "it names the ends" says out 'read end open, write end'
check "pipe info of a file fails" 1 "$kmm" pipe info
check "pipe list" 0 "$kmm" pipe run -- true '|' "$kmm" pipe list --json
claim "pipe list --json sees it" json 'len(j) == 1 and j[0]["capacity"] == 65536 and j[0]["comm"] == "kmm"'
check "object create --name" 0 "$kmm" object create --size 64K --name "cmd one" -- bash -c 'echo hello >&3'
check "object create of a name that is taken fails" 1 "$kmm" object create --name "cmd one"
check "object open finds it" 0 "$kmm" object open --rdonly "cmd one" -- bash -c 'head -c 5 <&3'
claim "and its contents" says out 'hello$'
check "object create --name of another" 0 "$kmm" object create --size 64K --name "cmd two"
check "object gift" 0 "$kmm" object gift "cmd one" "cmd two" --to-offset 4K --length 4K --json
claim "object gift is right" json 'j["moved"] == 1 and j["copied"] == 0 and j["done_bytes"] == 4096'
check "object open sees the gift" 0 "$kmm" object open "cmd two" -- bash -c 'tail -c +4097 <&3 | head -c 5'
claim "and what is in it" says out 'hello$'
check "object names --json" 0 "$kmm" object names --json
claim "object names is right" json '[n["name"] for n in j if n["kind"] == "shm"] == ["cmd\\040one", "cmd\\040two"]'
check "object unlink" 0 "$kmm" object unlink "cmd one"
check "object unlink of the other" 0 "$kmm" object unlink "cmd two"
check "object open of what is gone fails" 1 "$kmm" object open "cmd one"
claim "and says so" says err "cmd one.*No such file"
# the check with the kernel's page_owner_sort has it on, and so has who runs all with all debugging on
if [ "$(cat /sys/module/kmm/parameters/page_owner)" = N ]; then
	check "owner without its space fails" 1 "$kmm" owner
	claim "owner says why" says err 'page_owner is off: load the module with page_owner=1'
	check "owner on without its space fails" 1 "$kmm" owner on
	claim "owner on says why" says err 'must be asked for when the module is loaded'
else
	check "owner" 0 "$kmm" owner
	claim "owner tells who has pages" says out '[1-9][0-9]* pages in [1-9][0-9]* blocks'
	check "owner on" 0 "$kmm" owner on
	claim "owner on says so" says out 'page_owner is on'
fi
check "owner off" 0 "$kmm" owner off
check "frag --json --map" 0 "$kmm" frag --json --map
claim "frag --json is right" json 'sum(n << o for o, n in enumerate(j["free_blocks"])) == j["free_pages"] and j["unusable_index"][0] == 0 and j["map"]'
check "frag prints a line per order" 0 bash -c "$kmm"' frag | grep -cE "^ +(10|[0-9]) " | grep -qx 11'
check "slab" 0 "$kmm" slab
claim "slab lists kmalloc" says out ' kmalloc-64$'
check "slab list --json" 0 "$kmm" slab list --json
claim "slab list --json is right" json 'len(j) >= 14 and all(c["num_objs"] == c["num_slabs"] * c["objperslab"] for c in j)'
check "slab alloc --json" 0 "$kmm" slab alloc --count 10 --size 100 --addr --json
claim "slab alloc --json is right" json 'j["allocated"] == 10 and len(set(j["addresses"])) == 10'
check "slab alloc of too much fails" 1 "$kmm" slab alloc --cache --size 8193
claim "slab alloc of too much says why" says err 'up to 8 KiB'
# the list sees the objects while they are held, and explain the last of them
hold 301 "$kmm" slab alloc --debug --size 40 --count 300 --addr --wait
address=$(tail -n 1 "$tmp/held")
check "slab explain --json" 0 "$kmm" slab explain "$address" --json
claim "slab explain --json is right" json 'j["address"] == "'"$address"'" and j["cache"].startswith("user-") and j["state"] == "in use" and len(j["allocated_stack"]) > 1'
check "slab list sees held objects" 0 "$kmm" slab list --json
claim "slab list counts held objects" json '[c["active_objs"] for c in j if c["name"].startswith("user-")] == [300]'
claim "and their share of all" json 'all(c["use_percent"] == (c["active_objs"] * 100 // c["num_objs"] if c["num_objs"] else 0) for c in j)'
release
claim "slab alloc --wait ends with its input" [ $? = 0 ]
check "slab explain without permission fails" 1 setpriv --reuid 65534 --regid 65534 --clear-groups "$kmm" slab explain "$address"

check "vmap alloc --json" 0 "$kmm" vmap alloc --count 20 --size 10K --addr --json
claim "vmap alloc --json is right" json 'j["allocated"] == 20 and len(set(j["addresses"])) == 20'
check "vmap alloc of too much fails" 1 "$kmm" vmap alloc --size 1G
claim "vmap alloc of too much says why" says err 'No frames, or no addresses'
hold 2 "$kmm" vmap alloc --size 5M --prot r --addr --wait
address=$(tail -n 1 "$tmp/held")
check "vmap list --json" 0 "$kmm" vmap list --json
claim "vmap list --json is right" json '[(a["pages"], a["kind"], a["rights"]) for a in j if a["start"] == "'"$address"'"] == [(1280, "vmalloc", "r--")]'
check "vmap" 0 "$kmm" vmap
claim "vmap lists the area" says out "^$address"
release

check "space run" 0 "$kmm" space run 'map anon 64K at 0x10000000; write @ hello; clone copy; use copy' \
	'write @ HELLO; read @ 5; use s0; read @ 5; maps; info'
claim "space run shows both copies" bash -c 'grep -q "48 45 4c 4c 4f .* HELLO$" "$1" && grep -q "68 65 6c 6c 6f .* hello$" "$1"' - "$tmp/out"
claim "space run shows the maps" says out '^10000000-10010000 rw-p 00000000 00:00 0 $'
check "space run --json" 0 "$kmm" space run --json 'object o 8K; map guard 4K at 0x10002000; map o 8K at 0x10000000; write @ "two words"; read @+4 5; protect @ 4K r; write @ x; info'
claim "space run --json is right" json '[c["command"] for c in j] == ["object", "map", "map", "write", "read", "protect", "write", "info"] and j[4]["hex"] == "776f726473" and j[6]["rule"] == "no_write" and j[6]["done"] == 0 and j[7]["audit_bad"] == 0'
check "space run reads a script" 0 bash -c 'printf "create a # the first\nmap anon 4K\nfill @ 4K 0x5a\nread @ 4\n" | "$1" space run' - "$kmm"
claim "space run does what the script says" says out '5a 5a 5a 5a'
check "space run ends at the first that is refused" 1 "$kmm" space run 'map anon 4K at 0x10000000; map anon 4K at 0x10000000; fill @ 4K 1'
claim "space run says why" says err 'something is mapped there'
check "space run of no command fails" 1 "$kmm" space run 'frobnicate'
check "walk on an inherited space" 0 "$kmm" space run 'map anon 4K at 0x10000000; exec '"$kmm"' walk --touch=write 0x10000000'
claim "walk shows Accessed and Dirty" says out '^Accessed 0 -> 1, Dirty 0 -> 1$'
check "walk --json" 0 bash -c '"$1" space run "map anon 4K populate at 0x10000000; exec $1 walk --json 0x10000000" | sed -n "/^\[/,\$p"' - "$kmm"
claim "walk --json is right" json 'len(j[0]["walk"]["levels"]) in (4, 5) and {"P", "RW", "US", "NX"} <= set(j[0]["walk"]["levels"][-1]["bits"]) and j[0]["walk"]["leaf_bytes"] == 4096'
check "walk without a space fails" 1 "$kmm" walk 0x10000000
claim "walk without a space says why" says err 'descriptor 3'

# page replacement under the eyes of the command: areas, advice, limits
check "swap on --ram --json" 0 "$kmm" swap on --ram 1M --priority 7 --json
claim "swap on --json is right" json 'j["what"] == "lz4" and j["type"] == "ram" and j["priority"] == 7 and j["slots"] == 512 and j["used"] == 0 and not j["closing"]'
check "swap on --create" 0 "$kmm" swap on --create 1M "$tmp/swap"
claim "swap on tells the area" says out '^area 1: .*/swap, file.*priority 0$'
check "swap on of what is swap already fails" 1 "$kmm" swap on "$tmp/swap"
claim "and says so" says err 'It is in use'
check "swap on of what is too small fails" 1 "$kmm" swap on --ram 1
claim "and says what it wants" says err 'A page at least; lz4 or zstd'
check "swap on of no file fails" 1 "$kmm" swap on "$tmp/nothing"
claim "and names it" says err 'cannot open .*/nothing: No such file'
check "swap on without permission fails" 1 setpriv --reuid 65534 --regid 65534 --clear-groups "$kmm" swap on --ram 1M
yes | head -c 65536 >"$tmp/yes"
"$kmm" object create --size 64K --name "cmd pages" -- sh -c 'cat "$0" >&3' "$tmp/yes" >"$tmp/err" 2>&1
check "object advise pageout --json" 0 "$kmm" object advise "cmd pages" pageout --json
claim "all of it is in swap" json 'j == {"pages": 16, "resident": 0, "swapped": 16}'
check "swap list --json" 0 "$kmm" swap list --json
claim "swap list --json: the higher priority has the pages" json '[(a["id"], a["used"], a["written"], a["errors"], a["corrupt"]) for a in j] == [(0, 16, 16, 0, 0), (1, 0, 0, 0, 0)]'
check "object advise willneed" 0 "$kmm" object advise "cmd pages" willneed --offset 32K --length 16K
claim "and says how many" says out '^4 pages in memory; now 4 in memory, 12 in swap$'
check "object advise cold" 0 "$kmm" object advise "cmd pages" cold
claim "and says how many" says out '^4 pages cold;'
check "object advise of no object fails" 1 "$kmm" object advise "cmd none" cold
check "object limit" 0 "$kmm" object limit "cmd pages" 8K
check "reading under the limit" 0 "$kmm" object open "cmd pages" -- sh -c 'cmp - "$0" <&3' "$tmp/yes"
check "object advise sees the limit" 0 "$kmm" object advise "cmd pages" cold --json
claim "two pages are in memory" json 'j["resident"] == 2 and j["swapped"] == 14'
check "object limit of too much fails" 1 "$kmm" object limit "cmd pages" 1T
check "space run limit" 0 "$kmm" space run --json 'object o 1M; map o 1M at 0x10000000 shared; limit 128K; fill @ 1M 7; read @ 1; info'
claim "the space is at its limit, and reads what it wrote" json 'j[4]["hex"] == "07" and j[5]["resident"] <= 32 + 15'
check "space run limit of no size fails" 1 "$kmm" space run 'create; limit much'
check "swap off of a number" 0 "$kmm" swap off 0
check "swap off below the limit fails" 1 "$kmm" swap off --all
claim "and says why" says err 'no room for what is in it: in the region, or below the limit of an object'
"$kmm" object limit "cmd pages" 0
check "swap off --all" 0 "$kmm" swap off --all
check "swap list" 0 "$kmm" swap list
claim "nothing is in it" [ "$(wc -l <"$tmp/out")" = 1 ]
check "swap off of what is gone fails" 1 "$kmm" swap off 0
claim "and says where to look" says err 'no such area: kmm swap list'
check "contents after swapoff" 0 "$kmm" object open "cmd pages" -- sh -c 'cmp - "$0" <&3' "$tmp/yes"
"$kmm" object unlink "cmd pages"

# page replacement; the tables are the textbooks'
belady='1 2 3 4 1 2 5 1 2 3 4 5'
check "policy list --json" 0 "$kmm" policy list --json
claim "policy list --json has one that decides" json 'len(j) == 9 and [p["current"] for p in j].count(True) == 1'
check "policy set" 0 "$kmm" policy set s3fifo
check "policy list" 0 "$kmm" policy list
claim "policy list marks it" says out '^\* s3fifo '
check "policy set twolist --json" 0 "$kmm" --json policy set twolist
check "policy set of what does not exist fails" 1 "$kmm" policy set mru
claim "and says where to look" says err 'kmm policy list lists them'
check "policy replay, 3 frames" 0 bash -c 'echo "$2" | "$1" --json policy replay --frames 3 --policy all -' - "$kmm" "$belady"
claim "policy replay has exactly the keys" json 'list(j) == ["policies"] and all(sorted(p) == ["faults", "frames", "policy", "references"] for p in j["policies"]) and len(j["policies"]) == 10'
claim "fifo 9, lru 10, opt 7" json '[p["faults"] for p in j["policies"] if p["policy"] in ("fifo", "lru", "opt")] == [9, 10, 7] and {(p["frames"], p["references"]) for p in j["policies"]} == {(3, 12)}'
claim "nobody beats opt" json 'min(p["faults"] for p in j["policies"]) == 7'
check "policy replay, 4 frames" 0 bash -c 'echo "$2" | tr " " "\n" | "$1" --json policy replay --frames 4 --policy all -' - "$kmm" "$belady"
claim "fifo 10 (the anomaly), lru 8, opt 6" json '[p["faults"] for p in j["policies"] if p["policy"] in ("fifo", "lru", "opt")] == [10, 8, 6]'
echo "7 0 1 2 0 3 0 4 2 3 0 3 2 1 2 0 1 7 0 1 # Silberschatz, Galvin, Gagne" >"$tmp/book"
check "policy replay of a file by one" 0 "$kmm" policy replay --frames 3 --policy lru "$tmp/book"
claim "lru 12" says out '^lru +12 +0.6000 +\+33.3%'
claim "opt 9 beside it" says out '^opt +9 '
check "policy replay of nothing" 0 "$kmm" --json policy replay --frames 3 /dev/null
claim "is no fault" json 'all(p["faults"] == p["references"] == 0 for p in j["policies"])'
echo '1 2 x 3' >"$tmp/bad"
check "policy replay of what is no trace fails" 1 "$kmm" policy replay --frames 3 "$tmp/bad"
claim "and says where" says err "line 1: 'x' is no page number"
check "trace make" 0 "$kmm" trace make scan --pages 640 --references 6000 -o "$tmp/scan"
check "policy replay of a made trace" 0 "$kmm" --json policy replay --frames 64 "$tmp/scan"
claim "a scan does not push the hot set out of s3fifo, as it does of fifo" json '(lambda f: f["opt"] <= f["s3fifo"] < f["fifo"])({p["policy"]: p["faults"] for p in j["policies"]})'
check "trace make of what does not exist fails" 1 "$kmm" trace make zipf9
# each goes on where the one before it ended
cat >"$tmp/touch" <<'END'
exec 2>/dev/null
dd bs=4096 count=1 skip=65536 <&3
dd bs=4096 count=1 skip=4 <&3
dd bs=4096 count=1 skip=1 <&3
dd bs=4096 count=1 seek=2 if=/dev/zero >&3
END
check "trace record of a space" 0 "$kmm" space run 'map anon 64K at 0x10000000' "exec $kmm trace record -i 1 -o $tmp/trace bash $tmp/touch"
grep -v '^#' "$tmp/trace" | paste -s -d ' ' >"$tmp/out"
claim "has what was read and written, in order" says out '^65536 65541 65543 65546w$'
cp "$tmp/trace" "$tmp/out"
claim "and says that it is exact" says out '^# kind: exact$'
check "trace record of an object" 0 "$kmm" object create --size 1M -- "$kmm" trace record -i 5 -o "$tmp/trace" python3 -c 'import mmap,time
m = mmap.mmap(3, 1 << 20)
for i in (7, 9, 7):
    m[i << 12] = 1
    time.sleep(0.5)'
grep -v '^#' "$tmp/trace" | paste -s -d ' ' >"$tmp/out"
claim "has the pages that were touched" says out '^7 9 7$'
cp "$tmp/trace" "$tmp/out"
claim "and says that it is sampled" says out '^# kind: sampled$'
check "trace record of nothing fails" 1 "$kmm" trace record -s 1
check "space list --json" 0 bash -c '"$1" space run "map anon 8K populate; exec $1 space list --json" | sed -n "/^\[/,\$p"' - "$kmm"
claim "space list --json is right" json 'len(j) == 1 and j[0]["areas"] == 1 and j[0]["mapped_kB"] == 8 and j[0]["private_kB"] == 8'

check "lab list --json" 0 "$kmm" lab list --json
claim "lab list --json is right" json 'len(j) >= 15 and all({"name", "what", "detector", "report", "ready", "read"} == set(b) for b in j) and len({b["name"] for b in j}) == len(j)'
check "lab list" 0 "$kmm" lab
claim "lab list has who catches what" says out '^ +caught by: red zone'
echo "kmm-expect: BUG: KMM: wrong-cache free in x2" >/dev/kmsg
check "lab bug" 0 "$kmm" lab bug wrong-cache
claim "lab bug shows the report" says out '^  \| .*object .* of cache lab, freed to cache lab-other'
claim "lab bug says who caught it" says out '^caught by:$'
check "lab bug --json" 0 "$kmm" lab bug wrong-cache --json
claim "lab bug --json is right" json 'j["caught"] and j["reports"] == 1 and sum("wrong-cache free in" in line for line in j["log"]) == 1'
echo "kmm-expect-end" >/dev/kmsg
check "lab bug that there is not fails" 1 "$kmm" lab bug frobnicate
claim "and says where to look" says err 'kmm lab list'
check "lab bug without permission fails" 1 setpriv --reuid 65534 --regid 65534 --clear-groups "$kmm" lab bug wrong-cache
check "lab fail --walk" 0 "$kmm" lab fail --walk --json -- "$kmm" object create --size 64K
claim "lab fail --walk is right" json 'len(j) > 5 and all(r["failed"] and r["status"] for r in j[:-1]) and not j[-1]["failed"] and j[-1]["status"] == 0'
check "lab fail of what there is not" 0 "$kmm" lab fail -- /nonexistent
claim "lab fail gives the status" says out 'nothing failed, exit status 127'

# perhaps it is on since load: then it begins anew
check "leak off" 0 "$kmm" leak off
check "leak on" 0 "$kmm" leak on
check "leak scan --json" 0 "$kmm" leak scan --count 2 --json
claim "leak scan --json is right" json 'j["state"] == "on" and j["scans"] == 2 and j["leaks"] == 0 and j["reported"] == []'
check "leak dump of nothing fails" 1 "$kmm" leak dump 0x1234
claim "and says why" says err 'in no object that is tracked'
check "leak clear" 0 "$kmm" leak clear
check "leak off" 0 "$kmm" leak off
check "leak scan while it is off fails" 1 "$kmm" leak scan
claim "and says what to do" says err 'kmm leak on'
check "leak" 0 "$kmm" leak
claim "leak tells the state" says out '^0 leaks; detector off \(by the user\)'

check "top --batch" 0 "$kmm" top --batch --count 2 --interval 0.2
claim "top --batch draws twice, without escapes" eval '[ "$(grep -c "^kmm top [0-9:]*  every 0.2 s  " "$tmp/out")" = 2 ] && no_escape'
claim "largest cache first, with the column marked" says out '^ +OBJS +ACTIVE .* CACHE SIZE\* NAME$'
check "top of an object" 0 "$kmm" object create --size 4M --pattern -- "$kmm" top --json --interval 0.1
sed -i -n '/^\[/,/^\]/p' "$tmp/out"
claim "top --json: one snapshot, the frames are the region" json 'len(j) == 1 and sum(j[0]["frames"][k] for k in ("free", "cached", "lazy", "quarantined", "used", "guard", "metadata")) == j[0]["frames"]["total"] == j[0]["region"]["bytes"] // 4096'
claim "what went out and did not come back is in use" json 'j[0]["counters"]["pgalloc"] - j[0]["counters"]["pgfree"] == j[0]["counters"]["nr_used_pages"] + j[0]["counters"]["nr_lazy_pages"]'
claim "the object is there, and who pays for it" json '[o["resident_kB"] for o in j[0]["objects"]] == [4096] and [(a["comm"], a["objects"], a["pid"] == j[0]["objects"][0]["pid"]) for a in j[0]["accounts"] if a["kind"] == "file" and a["frames"] >= 1024] == [("kmm", 1, True)]'
claim "free pages by type are those of the free lists" json 'sum(t["free_pages"] for t in j[0]["migratetypes"]) == sum(n << i for t in j[0]["migratetypes"] for i, n in enumerate(t["free_blocks"])) and sum(t["pageblocks"] for t in j[0]["migratetypes"]) * 2 << 20 >= j[0]["region"]["bytes"]'
claim "caches are sorted" json '[c["bytes"] for c in j[0]["caches"]] == sorted((c["bytes"] for c in j[0]["caches"]), reverse=True)'
check "top of the accounts, by their number" 0 "$kmm" top --json --interval 0.1 --table accounts --sort id --reverse
claim "sorted by number" json '[a["id"] for a in j[0]["accounts"]] == sorted(a["id"] for a in j[0]["accounts"])'
long=$(printf 'queue-%.0s' {1..40})
"$kmm" msgq create "$long" >/dev/null
check "top --batch of the queues" 0 "$kmm" top --batch --count 1 --interval 0.1 --table queues
claim "no name is cut off" says out "$long\$"
"$kmm" msgq unlink "$long"
until [ -e "$tmp/stop" ]; do "$kmm" alloc --order 0 --count 1000 && "$kmm" bench fault_first_touch; done >"$tmp/load" 2>&1 &
load=$!
await 1 "$tmp/load"
# between two snapshots the load may take pages alone, or be about to start the next program
for _ in {1..20}; do
	"$kmm" top --json --interval 0.7 --count 2 >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	if [ $status -ne 0 ] || json 'all(j[1]["counters"][k] > j[0]["counters"][k] for k in ("pgalloc", "pgfree", "pgfault"))'; then
		break
	fi
done
touch "$tmp/stop"
wait $load
claim "top under load" [ $status -eq 0 ]
claim "rates are what the counters grew by" json 'all(j[1]["rates"][k] > 0 and abs(j[1]["rates"][k] * j[1]["seconds"] - (j[1]["counters"][k] - j[0]["counters"][k])) <= (1 + j[1]["rates"][k] / 1000) * j[1]["seconds"] for k in ("pgalloc", "pgfree", "pgfault"))'
hold 1 "$kmm" vmap alloc --count 2000 --wait
check "a signal ends top when a snapshot takes longer than the interval" 143 \
	timeout --preserve-status --kill-after 20 2 "$kmm" top --batch --interval 0.1
claim "there were areas enough for that" grep -q '^allocated 2000 areas' "$tmp/held"
release
(trap '' HUP; exec "$kmm" top --batch --interval 0.3 --count 3) >"$tmp/top" 2>&1 &
top=$!
await 1 "$tmp/top"
kill -HUP $top
check "a signal that is ignored does not end top, as under nohup" 0 wait $top
check "top of somebody who may read nothing of debugfs" 0 setpriv --reuid 65534 --regid "$(stat -c %g /dev/kmm)" --clear-groups "$kmm" top --json --interval 0.1
claim "has the frames, and says what is missing" json 'j[0]["frames"]["total"] > 0 and j[0]["accounts"] is None and j[0]["caches"] is None and "for root" in j[0]["hidden"]'
check "top without a terminal fails" 1 "$kmm" top
claim "and says what to do" says err 'no terminal: kmm top --batch'
check "bench --json" 0 "$kmm" bench --json
claim "bench --json has what a user program sees" json '[r["name"] for r in j["rows"]][:4] == ["fault_first_touch", "pipe_4k", "pipe_64k", "shm_setup_1000"] and len(j["rows"]) == 14'
# costs have three digits behind the point, the ratio four
claim "its rows are those of bench.json" json 'all(sorted(r) == ["host", "kmm", "name", "ratio", "unit"] and r["kmm"] > 0 and (r["host"] is None) == r["name"].startswith("ops_") and (r["host"] is None or abs(r["ratio"] * r["host"] - r["kmm"]) <= 0.00051 * (1 + r["ratio"]) + 0.000051 * r["host"]) for r in j["rows"])'
claim "and it says what is missing" json '{s["why"] for s in j["skipped"]} == {"kmm_bench is not loaded: as root, insmod kmm_bench.ko"} and len(j["skipped"]) > 20'
check "bench on a terminal" 0 script -qec "'$kmm' bench --rounds 2 ops_page_o0_pair" /dev/null
claim "bench shows how far it is" says out 'round 2 of 2, row 1 of 1: ops_page_o0_pair'
check "bench of a row of the module without it fails" 1 "$kmm" bench page_o0_pair
claim "and says what to load" says err 'kmm_bench is not loaded: as root, insmod kmm_bench.ko'
ko=${KMM_KO:-$(dirname "$0")/../../kmm.ko}
insmod "$(dirname "$ko")/kmm_bench.ko"
check "bench of rows" 0 "$kmm" bench page_o0_pair ops_page_o0_pair
claim "bench says what is in force" says out '^machine: (emulated|virtual|hardware)'
claim "bench prints the row" says out '^page_o0_pair +[0-9.]+ +[0-9.]+ +[0-9.]+$'
claim "bench prints a row without a host's side" says out '^ops_page_o0_pair +- +[0-9.]+ +-$'
check "bench --rounds --json" 0 "$kmm" bench --rounds 2 --json lru_pair_lru page_o0_pair
claim "bench --json keeps the order" json '[(r["name"], r["host"] is None) for r in j["rows"]] == [("lru_pair_lru", True), ("page_o0_pair", False)] and not j["skipped"]'
check "bench --json of one round" 0 "$kmm" bench --json page_o3_pair
claim "bench has what the module measured" json '"row page_o3_pair %.3f %.3f ns\n" % (j["rows"][0]["host"], j["rows"][0]["kmm"]) == open("/sys/kernel/debug/kmm_bench/results").read()'
rmmod kmm_bench

check "doctor --json" 0 "$kmm" doctor --json
claim "doctor --json is right" json 'j["ok"] and {c["check"] for c in j["checks"]} >= {"cma", "lockdown", "signature", "debugfs", "device"}'

check "info without permission fails" 1 setpriv --reuid 65534 --regid 65534 --clear-groups "$kmm" info
claim "and says whom to join" says err 'group kmm'

# top on a terminal; at the end the module goes, and comes back as it was
mapfile -t params < <(cd /sys/module/kmm/parameters && grep -H . region_mb provider lab | sed 's/:/=/')
"$(dirname "$0")"/top_screen.py "$kmm" "$ko" "${params[@]}" >"$tmp/screen" 2>&1 </dev/null
claim "the test of the screen came to its end" grep -q 'and ends with 0$' "$tmp/screen"
while read -r verdict name; do
	case $verdict in
	ok) result "top: $name" 1 ;;
	not) cp "$tmp/screen" "$tmp/out"; result "top: ${name#ok }" 0 ;;
	esac
done <"$tmp/screen"

[ $bad -eq 0 ]
