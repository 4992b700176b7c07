#!/bin/bash
# Runs everything that must hold: packages, lint, unit tests under ASan and UBSan (threads under TSan too), specs against
# the real binary. The last line is `N passed, N failed`; the exit code is 0 when nothing failed.
# Environment: BUILD, SUBMAKE (the make command), ONLY (part of a file's name: runs only those, without lint), TEST_JOBS.
set -u
BUILD=${BUILD:-build}
make=${SUBMAKE:-make}
ONLY=${ONLY:-}
jobs=${TEST_JOBS:-$(nproc)}
passed=0
failed=0

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
    exit
}

# Stops here when a step fails without which nothing else can run.
need() {
    "$@" && return
    echo "tidegate: failed: $*"
    failed=$((failed + 1))
    finish
}

check_lint() {
    [ -n "$ONLY" ] && return
    $make -k lint && return
    echo "tidegate: lint failed"
    failed=$((failed + 1))
}

# Real WebSocket clients and servers; installed again only when the lock file is newer.
install_node_modules() {
    [ t/node/node_modules/.package-lock.json -nt t/node/package-lock.json ] && return
    (cd t/node && npm ci --no-progress && touch node_modules/.package-lock.json)
}

# Prints one job a line: kind and path.
list_jobs() {
    local path
    for path in t/unit/test_*.c; do
        path=${path##*/}
        echo "unit $BUILD/unit/${path%.c}"
        [[ $path == test_thread_* ]] && echo "unit-tsan $BUILD/unit-tsan/${path%.c}"
    done
    for path in t/spec/*_spec.lua; do
        case ${path##*/} in
        *_release_spec.lua) echo "spec-release $path" ;;
        thread_*) echo "spec-asan $path" && echo "spec-tsan $path" ;;
        *) echo "spec-asan $path" ;;
        esac
    done
}

sum_results() {
    local passes failures
    for count in "$BUILD"/results/*.count; do
        read -r passes failures <"$count"
        passed=$((passed + passes))
        failed=$((failed + failures))
    done
}

shopt -s nullglob
need tools/packages.sh build test lint
need install_node_modules
check_lint
need $make binaries unit support

rm -rf "$BUILD/results" "$BUILD/san"
mkdir -p "$BUILD/results" "$BUILD/san"
export BUILD
list_jobs | grep -F -- "$ONLY" | xargs -r -P "$jobs" -L 1 tools/test_one.sh
sum_results
finish
