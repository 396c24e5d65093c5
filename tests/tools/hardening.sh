#!/bin/sh
# Whether a program was linked as CMakeLists.txt asks: hardening.sh PROGRAM
headers=$(LC_ALL=C readelf -W -h -l -d "$1") || exit 2
failed=0
has() {
  printf '%s\n' "$headers" | grep -qE "$2" || { echo "$1: missing"; failed=1; }
}
has "position-independent executable" 'FLAGS_1.*PIE'
has "bound at once (full RELRO)" 'BIND_NOW|FLAGS_1.*NOW'
has "read-only relocations" 'GNU_RELRO'
has "a stack that is not executed" 'GNU_STACK.* RW '
exit $failed
