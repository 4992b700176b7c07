#!/bin/bash
# Runs one unit test program or one spec file and leaves its counts in $BUILD/results. Prints a line, and everything the
# test said where it failed. A sanitizer's report fails the test, also that of a process which was killed afterwards.
# Usage: test_one.sh unit|unit-tsan|spec-asan|spec-release|spec-tsan PATH
set -u
kind=$1
path=$2
name=$kind-$(basename "${path%.lua}")
root=$PWD
build=$(realpath "$BUILD")
log=$build/results/$name.log
reports=$build/san/$name
mkdir -p "$reports"

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99:log_path=$reports/asan
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=99:log_path=$reports/ubsan
export TSAN_OPTIONS=suppressions=$root/t/support/tsan.supp:exitcode=99:log_path=$reports/tsan
export TIDEGATE_SUPPORT=$build/support
export TIDEGATE_RELEASE_BIN=$build/tidegate
case $kind in
spec-release) export TIDEGATE_BIN=$build/tidegate TIDEGATE_VARIANT=release ;;
*-tsan) export TIDEGATE_BIN=$build/tsan/tidegate TIDEGATE_VARIANT=tsan ;;
*) export TIDEGATE_BIN=$build/asan/tidegate TIDEGATE_VARIANT=asan ;;
esac

# run SECONDS COMMAND...: sanitizers need their shadow memory where address randomisation might have put something else: setarch -R.
run() {
    timeout -k 10 "${TEST_TIMEOUT:-$1}" setarch -R "${@:2}" >"$log" 2>&1 </dev/null
}

# Prints the sum of the numbers that stand in front of (or after) the words of the pattern $1 in the log.
sum_of() {
    grep -Eo "$1" "$log" | grep -Eo '[0-9]+' | awk '{ sum += $1 } END { print sum + 0 }'
}

started=$SECONDS
case $kind in
unit*)
    run 120 "$path"
    status=$?
    passed=$(sum_of '^\[  PASSED  \] [0-9]+')
    failed=$(sum_of '^\[  FAILED  \] [0-9]+')
    ;;
spec*)
    run 600 busted --lua=/usr/bin/luajit -o plainTerminal "$path"
    status=$?
    passed=$(sum_of '^[0-9]+ success')
    failed=$(($(sum_of '[0-9]+ failure') + $(sum_of '[0-9]+ error[s ]')))
    ;;
esac

[ "$status" != 0 ] && [ "$failed" = 0 ] && failed=1
[ "$status" = 0 ] && [ "$passed" = 0 ] && echo "no test was run" >>"$log" && failed=1
found=$(find "$reports" -type f -size +0)
[ -n "$found" ] && failed=$((failed + 1))

echo "$passed $failed" >"$build/results/$name.count"
text="$name: $passed passed, $failed failed, $((SECONDS - started)) s"
if [ "$failed" != 0 ]; then
    text="$text, exit code $status
$(grep -vE '^\[ RUN|^\[       OK' "$log" | head -n 250)"
    for report in $found; do
        text="$text
$(head -n 60 "$report")"
    done
fi
printf '%s\n' "$text"
