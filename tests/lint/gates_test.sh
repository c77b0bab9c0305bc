#!/bin/bash
# Shows that every gate of tools/lint closes: each gets one file that it must refuse, in a
# repository of its own, and a good file passes them all.
#
#   gates_test.sh <root of the sources> <work folder>
set -euo pipefail
root=$(realpath "$1") work=$2
rm -rf "$work"
mkdir -p "$work/tree/tools" "$work/tree/build"
cp "$root/.clang-format" "$root/.clang-tidy" "$work/tree"
cp "$root/tools/lint" "$root/tools/structure" "$work/tree/tools"
cd "$work/tree"
git init -q .
echo /build/ >.gitignore
failed=0

# The layers, and a file that is always there and may be compiled as it is. Its header needs base/a.
printf 'dm_layer(base)\ndm_layer(core USES base)\n' >CMakeLists.txt
there() {
    mkdir -p src/base
    printf '#include "base/a.h"\n' >src/base/there.h
    printf 'int there(void);\n\nint there(void)\n{\n    return 1;\n}\n' >src/base/there.c
}
there
mkdir -p build/CMakeFiles/dm_base.dir/src/base
cc -c src/base/there.c -o build/CMakeFiles/dm_base.dir/src/base/there.c.o

# lints <file>: puts stdin there, and lints it; all that is said goes to ../log.
lints() {
    rm -rf src
    there
    mkdir -p "$(dirname "$1")"
    cat >"$1"
    printf '[{"directory": "%s", "file": "%s", "command": "cc -c %s"}]\n' \
        "$PWD" "$1" "$1" >build/compile_commands.json
    tools/lint build >../log 2>&1
}

# refuses <words of the gate> <file>
refuses() {
    if lints "$2"; then
        echo "passed, which it must not: $1"
        failed=1
    elif [ "$(grep '^lint: ' ../log)" != "lint: $1" ]; then
        echo "refused, but not (only) by: $1"
        sed 's/^/    /' ../log
        failed=1
    fi
}

function_of() { # function_of <lines>
    printf 'static int number(int a)\n{\n'
    for ((i = 1; i < $1; i++)); do echo '    a++;'; done
    printf '    return a;\n}\n\nint twice(int a)\n{\n    return number(a) * 2;\n}\n'
}

if ! function_of 69 | lints src/base/a.c; then
    echo "refused a good file:"
    sed 's/^/    /' ../log
    failed=1
fi
if [ -z "$(ls build/tidy)" ] || ! tools/lint build; then
    echo "clang-tidy's result is not remembered"
    failed=1
fi

refuses "clang-format (run: clang-format -i)" src/base/a.c <<<'int  a;'
refuses "an include with '..'" src/base/a.h <<<'#include "../core/step.h"'
for header in uv.h lmdb.h libaio.h nghttp2/nghttp2.h llhttp.h; do
    refuses "<${header//./\\.}> is included where it must not be" src/core/a.h <<<"#include <$header>"
done
function_of 70 | refuses "a function of 70 lines or more" src/base/a.c
refuses "a banned call" src/base/a.h <<<'#define LENGTH(text) atoi(text)'
refuses "the structure of src/" src/base/a.h <<<'#include "base/there.h"'
refuses "the structure of src/" src/base/a.h <<<'#include "core/step.h"'
seq 451 | sed 's/.*/int number_&(void);/' | refuses "the structure of src/" src/base/a.h
refuses "unfinished, by its own words" src/base/a.h <<<'/* TO''DO: all of it */'
refuses "clang-tidy" src/base/a.c <<'END'
int sign(int a)
{
    if (a < 0)
        return -1;
    return 1;
}
END
refuses "clang-tidy" src/base/a.c <<'END'
int quotient(void)
{
    int zero = 0;
    return 1 / zero;
}
END

# Nothing to look at is not a success.
rm -rf src
if tools/lint build >../log 2>&1; then
    echo "passed without a source"
    failed=1
fi
exit $failed
