#!/bin/sh
# Shows that `sim` finds planted bugs. Each mutants/*.patch is applied to a copy of the
# sources it touches; what it changes is compiled and linked in place of the original, and
# the simulation must fail.
#
# Called by ctest (sim_mutants), which says how to compile:
#   mutants.sh <root of the sources> <work folder> <seeds> [mutant...]
# with CC, CFLAGS, OBJECTS (those of sim) and LIBRARIES in the environment.
set -eu
root=$1 work=$2 seeds=$3
shift 3
patches=$root/tests/sim/mutants
rm -rf "$work"
mkdir -p "$work"
[ $# -gt 0 ] || set -- $(ls "$patches" | sed 's/\.patch$//')

build() {
    folder=$work/$1 patch=$patches/$1.patch
    mkdir -p "$folder"
    objects=
    for file in $(sed -n 's/^+++ \(src\/[^[:space:]]*\.c\).*/\1/p' "$patch"); do
        mkdir -p "$folder/$(dirname "$file")"
        cp "$root/$file" "$folder/$file"
    done
    patch -s -d "$folder" -p0 <"$patch" || return 1
    for file in $(cd "$folder" && find src -name '*.c'); do
        $CC $CFLAGS -w -c "$folder/$file" -o "$folder/$(basename "$file").o" || return 1
        objects="$objects $folder/$(basename "$file").o"
    done
    # Before the libraries: what the mutant defines is not taken from them.
    $CC $CFLAGS -o "$folder/sim" $OBJECTS $objects -Wl,--start-group $LIBRARIES \
        -Wl,--end-group -lm -lpthread
}

judge() {
    if ! build "$1" >"$work/$1.log" 2>&1; then
        echo "$1: does not apply or compile any more"
        sed 's/^/    /' "$work/$1.log"
        return 1
    fi
    status=0
    "$work/$1/sim" --seeds "$seeds" --no-shrink >"$work/$1.log" 2>&1 || status=$?
    if [ "$status" -ne 1 ]; then
        echo "$1: SURVIVED"
        return 1
    fi
    echo "$1: $(head -n 1 "$work/$1.log")"
    rm -rf "${work:?}/$1"
}

# Two at a time.
failed=0
while [ $# -gt 0 ]; do
    first=$1 second=${2-}
    if [ -n "$second" ]; then
        judge "$second" &
    fi
    judge "$first" || failed=1
    if [ -n "$second" ]; then
        wait $! || failed=1
        shift
    fi
    shift
done
exit $failed
