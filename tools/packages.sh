# Installs Debian packages that are missing; sourced by the other scripts. Says what it
# does, and nothing where there is nothing to do.

build_packages="build-essential cmake ninja-build pkg-config python3 python3-protobuf
protobuf-compiler libprotobuf-dev libuv1-dev liblmdb-dev libaio-dev libnanopb-dev nanopb libnghttp2-dev node-llhttp
libcmocka-dev libjansson-dev"

# What the tests need on top: the sanitizers' and fuzzers' compiler, the lints, and the
# third-party clients and servers that the interop tests talk to.
test_packages="clang clang-format clang-tidy libclang-rt-dev golang-go
golang-github-containerd-ttrpc-dev python3-grpcio python3-protobuf curl nghttp2-client
nginx-light haproxy nghttp2-proxy prometheus git patch"

missing_packages() {
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            printf '%s ' "$package"
    done
}

install_packages() {
    missing=$(missing_packages "$@")
    [ -n "$missing" ] || return 0
    echo "installing: $missing"
    if [ "$(id -u)" -eq 0 ]; then as_root=""; else as_root="sudo"; fi
    log=$(mktemp)
    # Services of what is installed for tests must not start by themselves.
    local policy=/usr/sbin/policy-rc.d
    local policy_is_ours= status=0
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root install -m 755 /dev/stdin "$policy"
        policy_is_ours=1
    fi
    { $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
            --no-install-recommends $missing; } </dev/null >"$log" 2>&1 || status=1
    [ -z "$policy_is_ours" ] || $as_root rm -f "$policy"
    if [ "$status" -ne 0 ]; then
        cat "$log" >&2
        echo "could not install: $missing" >&2
    fi
    rm -f "$log"
    return "$status"
}

# The clients from npm, of exactly the versions in the lock file; again only when that has
# changed. A node from elsewhere does as well as Debian's.
install_node_modules() {
    command -v node >/dev/null || install_packages nodejs
    command -v npm >/dev/null || install_packages npm
    installed=$1/node_modules/.package-lock.json
    [ "$1/package-lock.json" -nt "$installed" ] || return 0
    echo "installing: the npm packages of $1"
    log=$(mktemp)
    if ! (cd "$1" && timeout 300 npm ci --fetch-timeout=60000) </dev/null >"$log" 2>&1; then
        cat "$log" >&2
        echo "could not install the npm packages of $1" >&2
        rm -f "$log"
        return 1
    fi
    touch "$installed"
    rm -f "$log"
}
