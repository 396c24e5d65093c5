#!/bin/sh
# Whether a program was compiled and linked as CMakeLists.txt asks: hardening.sh PROGRAM. Functions of glibc that check their
# buffers end in _chk.
headers=$(LC_ALL=C readelf -W -h -l -d --dyn-syms "$1") || exit 2
failed=0
has() {
  printf '%s\n' "$headers" | grep -qE "$2" || { echo "$1: missing"; failed=1; }
}
has "position-independent executable" 'FLAGS_1.*PIE'
has "bound at once (full RELRO)" 'BIND_NOW|FLAGS_1.*NOW'
has "read-only relocations" 'GNU_RELRO'
has "a stack that is not executed" 'GNU_STACK.* RW '
has "stack protector" '__stack_chk_fail'
has "_FORTIFY_SOURCE" '__[a-z]+_chk(@| |$)'
exit $failed
