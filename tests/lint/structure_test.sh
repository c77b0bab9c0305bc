#!/bin/bash
# Shows that tools/structure finds what it is for: each fault is planted in a small tree of two
# layers, and the tree without one passes.
#
#   structure_test.sh <root of the sources> <work folder>
set -euo pipefail
root=$(realpath "$1") work=$2
rm -rf "$work"
mkdir -p "$work"
cd "$work"
failed=0

# A good tree: high/ uses low/, and in each a file needs another.
good() {
    rm -rf tree
    mkdir -p tree/src/low tree/src/high
    cd tree
    printf 'dm_layer(low LINK Threads::Threads)\ndm_layer(high USES low LINK uv)\n' >CMakeLists.txt
    echo 'int low_sum(int a);' >src/low/sum.h
    echo 'int low_one(void);' >src/low/one.h
    printf '#include "low/one.h"\n#include "low/sum.h"\nint low_sum(int a) { return a + low_one(); }\n' >src/low/sum.c
    printf '#include "low/one.h"\nint low_one(void) { return 1; }\n' >src/low/one.c
    printf '#include "low/sum.h"\nint high_top(void) { return low_sum(2); }\n' >src/high/top.c
}

looks() { # looks [options]: compiles the tree, and lets it be looked at
    local source
    for source in src/*/*.c; do
        object=build/CMakeFiles/dm_$(basename "$(dirname "$source")").dir/$source.o
        mkdir -p "$(dirname "$object")"
        cc -w -Isrc -c "$source" -o "$object"
    done
    "$root/tools/structure" build --root . "$@" >../said 2>&1
}

finds() { # finds <first line of what is said> [options]
    local said=$1
    shift
    if looks "$@"; then
        echo "not found: $said"
        failed=1
    elif [ "$(head -n 1 ../said)" != "$said" ]; then
        echo "not what was planted ($said):"
        sed 's/^/    /' ../said
        failed=1
    fi
    cd ..
}

good
if ! looks; then
    echo "a good tree is refused:"
    sed 's/^/    /' ../said
    failed=1
fi
cd ..

good
printf '#include "low/one.h"\n#include "low/sum.h"\nint low_one(void) { return 1; }\n' >src/low/one.c
finds 'circle in low/: one sum'

good
printf 'int low_sum(int a);\nint low_one(void) { return low_sum(0) != 0; }\n' >src/low/one.c
finds 'circle in low/: one sum'

good
echo '#include "high/top.h"' >src/low/sum.h
echo 'int high_top(void);' >src/high/top.h
finds 'layer low/ may not use high/: sum'

good
printf 'int high_top(void);\nint low_one(void) { return high_top(); }\n' >src/low/one.c
finds 'layer low/ may not use high/: one'

good
printf 'int low_one(void) { return 3; }\n' >src/low/two.c
finds 'twice: low_one in low/one and low/two'

good
seq 9 | sed 's,.*,/* & */,' >>src/low/one.c
finds 'lines: src/low/one.c has 11, more than 10' --lines 10

good
if "$root/tools/structure" build --root . >../said 2>&1; then
    echo "passed without an object file"
    failed=1
fi
exit $failed
