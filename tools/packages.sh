#!/bin/sh
# Installs the Debian packages that are missing from the named groups: build, test, lint, bench.
# Asks the network only when something is missing; never removes a package.
set -eu

packages_of() {
    case $1 in
    build) echo "gcc libc6-dev make pkg-config libev-dev libssl-dev libnghttp2-dev libjansson-dev zlib1g-dev libpcre2-dev libxxhash-dev lua-cjson-dev $(luajit_packages)" ;;
    test) echo "lua-busted prometheus lua-socket lua-sec lua-luaossl lua-filesystem lua-cjson libcmocka-dev curl openssl nghttp2-client nghttp2-server chromium procps iproute2 $(node_packages)" ;;
    lint) echo "clang-format cppcheck lua-check" ;;
    bench) echo "nginx libnginx-mod-http-lua haproxy nghttp2-client nghttp2-server nghttp2-proxy wrk strace procps python3 openssl" ;;
    *)
        echo "packages.sh: unknown group \"$1\" (build, test, lint, bench)" >&2
        exit 2
        ;;
    esac
}

# libluajit-5.1 and OpenResty's libluajit2-5.1 exclude each other; both serve, so the one that is here stays.
luajit_packages() {
    if installed libluajit-5.1-dev || installed libluajit-5.1-2; then
        echo "libluajit-5.1-dev luajit"
    else
        echo "libluajit2-5.1-dev luajit2"
    fi
}

# A node from elsewhere brings its own npm and doesn't go together with Debian's.
node_packages() {
    command -v node >/dev/null 2>&1 || echo "nodejs npm"
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null)" = "ii " ]
}

# Prints those of its arguments that are not installed.
missing_of() {
    have=" $(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' "$@" 2>/dev/null | sed -n 's/^ii //p' | tr '\n' ' ')"
    for package in "$@"; do
        case $have in
        *" $package "*) ;;
        *) printf '%s ' "$package" ;;
        esac
    done
}

# Prints nghttp2's packages where they are older than Debian's mended ones: hostile frames make those abort. The number
# of the release is the same, so the program can't see it for itself.
outdated_nghttp2() {
    there=$(dpkg-query -W -f '${Version}' libnghttp2-14 2>/dev/null) || return 0
    [ -n "$there" ] && dpkg --compare-versions "$there" lt 1.52.0-1+deb12u3 && printf 'libnghttp2-14 libnghttp2-dev '
    return 0
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# Debian starts a service when its package is installed; what we install is only for the tests to start by themselves.
policy=/usr/sbin/policy-rc.d
forbid_services() {
    [ -e "$policy" ] && return
    trap 'as_root rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

wanted=
for group in "$@"; do
    wanted="$wanted $(packages_of "$group")"
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "tidegate: this is not Debian, so nothing is installed; needed are the likes of:$wanted" >&2
    exit 0
fi

# shellcheck disable=SC2086
missing=$(missing_of $wanted)
case $wanted in
*libnghttp2-dev*) missing="$missing$(outdated_nghttp2)" ;;
esac
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null 2>&1; then
    echo "tidegate: these packages are missing or too old, and installing them needs root or sudo. As root, run:" >&2
    echo "  apt-get update && apt-get install --no-install-recommends $missing" >&2
    exit 1
fi

echo "tidegate: installing $missing"
forbid_services
apt_get update
# shellcheck disable=SC2086
apt_get install -y --no-install-recommends --no-remove $missing
