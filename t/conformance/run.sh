#!/bin/sh
# Fetches and builds h2spec by Go's own means, where Go is at hand, and runs it against the gateway.
# Environment: BUILD, GO (the go command).
set -eu
BUILD=${BUILD:-build}
version=v2.2.1+incompatible
program=$BUILD/conformance/h2spec

find_go() {
    for candidate in "${GO:-}" go /usr/local/go/bin/go /usr/lib/go/bin/go; do
        [ -n "$candidate" ] && command -v "$candidate" && return
    done
    return 1
}

if [ ! -x "$program" ]; then
    go=$(find_go) || {
        echo "tidegate: h2spec is a program in Go, and there is no go command here (package golang-go); nothing was checked"
        exit 0
    }
    mkdir -p "$BUILD/conformance"
    GOBIN=$(cd "$BUILD/conformance" && pwd) GOFLAGS=-mod=mod "$go" install "github.com/summerwind/h2spec/cmd/h2spec@$version"
fi
exec luajit t/conformance/run.lua "$program"
