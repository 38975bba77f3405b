#!/bin/sh
# Installs what is missing to build, test and lint Bulkhead, and nothing that is there: with nothing missing it takes a
# fraction of a second, so `make` runs it each time.
#
#   setup.sh [build] [test] [api] [clients] [mutation] [lint]      what for; `build` if nothing is said
#
# Of the ways to build guests (see src/toolchain.rs) it tries rustup's target first and Debian's packages second.
# BULKHEAD_GUEST_TOOLCHAIN=debian asks for Debian's packages alone.
set -eu

target=wasm32-unknown-unknown
debian_packages='rustc-web cargo-web rust-web-src lld-19'
# As in src/toolchain.rs: 1.95.
debian_minor_minimum=95
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"

say() { echo "setup: $*" >&2; }
fail() {
    say "$*"
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; elif have sudo; then sudo "$@"; else return 1; fi
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2
}

# The list of packages may be missing or old: then it is fetched, once.
apt_install_fresh() {
    have apt-get || return 1
    say "installing $* with apt-get"
    apt_install "$@" || { as_root apt-get update >&2 && apt_install "$@"; }
}

# rust-toolchain.toml names the host's compiler; rustup does not always install it by itself (RUSTUP_AUTO_INSTALL=0).
need_rust() {
    sysroot=$(rustc --print sysroot 2>/dev/null) && return
    have rustup || fail 'there is no Rust: install rustup (https://rustup.rs), open a new shell and run this again'
    channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
    say "installing Rust $channel"
    rustup toolchain install "$channel" --profile minimal --component clippy --component rustfmt >&2 ||
        fail "rustup can't install Rust $channel: install it and run this again"
    sysroot=$(rustc --print sysroot) || fail "rustc does not run: see above"
}

has_rustup_target() { [ -d "$sysroot/lib/rustlib/$target/lib" ]; }
has_rust_src() { [ -f "$sysroot/lib/rustlib/src/rust/library/Cargo.toml" ]; }

has_linker() {
    for linker in "$sysroot"/lib/rustlib/*/bin/rust-lld; do
        [ -f "$linker" ] && return
    done
    have rust-lld || have wasm-ld-19 || have wasm-ld
}

has_debian_toolchain() {
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] && [ -f /usr/lib/rustlib/src/rust/library/Cargo.toml ] || return 1
    minor=$(/usr/bin/rustc --version | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
    [ "${minor:-0}" -ge "$debian_minor_minimum" ] && has_linker
}

has_guest_toolchain() {
    case ${BULKHEAD_GUEST_TOOLCHAIN:-} in
        rustup) has_rustup_target && has_linker ;;
        rust-src) has_rust_src && has_linker ;;
        debian) has_debian_toolchain ;;
        *) { { has_rustup_target || has_rust_src; } && has_linker; } || has_debian_toolchain ;;
    esac
}

add_rustup_target() {
    have rustup && [ "${BULKHEAD_GUEST_TOOLCHAIN:-}" != debian ] || return 1
    say "adding the target $target with rustup"
    # Where rustup's server can't be reached there is another way: few tries, and a bound where the system has `timeout`.
    bound=
    if have timeout; then bound='timeout 300'; fi
    RUSTUP_MAX_RETRIES=1 $bound rustup target add "$target" >&2
}

add_debian_toolchain() {
    # shellcheck disable=SC2086
    apt_install_fresh $debian_packages || return 1
    if ! has_debian_toolchain; then
        # What was known was too old: the newer ones come with the security updates.
        # shellcheck disable=SC2086
        as_root apt-get update >&2 && apt_install $debian_packages
    fi
}

need_guest_toolchain() {
    if has_guest_toolchain; then return; fi
    add_rustup_target || say "rustup can't add $target here"
    if has_guest_toolchain; then return; fi
    add_debian_toolchain || say "apt-get can't install $debian_packages here"
    if has_guest_toolchain; then return; fi
    fail "there is no Rust toolchain for guests. Any one of these gives one:
  rustup target add $target
  apt-get install $debian_packages   (Debian, with its security updates)"
}

# SQLite is compiled from its C source.
need_c_compiler() {
    if have "${CC:-cc}"; then return; fi
    apt_install_fresh gcc libc6-dev || fail 'there is no C compiler (cc), which SQLite needs: install gcc or clang'
}

need_cargo_tool() {
    if have "$1" || [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/$1" ]; then return; fi
    say "installing $1 (some minutes, once)"
    cargo install --locked "$1" >&2 || fail "cargo can't install $1: see above"
}

# `make test-api` runs with a virtual environment: Debian's python3 makes one only with python3-venv.
has_python() { have python3 && python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

need_python() {
    if has_python; then return; fi
    apt_install_fresh python3 python3-venv || say "apt-get can't install python3 and python3-venv here"
    if has_python; then return; fi
    fail 'there is no Python 3.11 or newer that can make virtual environments: install python3 and python3-venv'
}

# `make test-clients` builds generated clients with these; a language whose toolchain can't be had is skipped there.
want() {
    package=$1
    shift
    if "$@" >/dev/null 2>&1; then return; fi
    # shellcheck disable=SC2086
    apt_install_fresh $package || say "apt-get can't install $package here"
}

want_client_toolchains() {
    want default-jdk-headless have javac
    want libjakarta-annotation-api-java [ -f /usr/share/java/jakarta-annotation-api.jar ]
    want golang-gopkg-validator.v2-dev [ -d /usr/share/gocode/src/gopkg.in/validator.v2 ]
    want 'nodejs npm' have npm
}

[ $# -gt 0 ] || set -- build
for purpose in "$@"; do
    case $purpose in
        build)
            need_rust
            need_c_compiler
            need_guest_toolchain
            ;;
        test) need_cargo_tool cargo-nextest ;;
        api) need_python ;;
        clients)
            need_python
            want_client_toolchains
            (need_cargo_tool cargo-progenitor) || say "there will be no client of progenitor"
            ;;
        mutation)
            need_cargo_tool cargo-mutants
            need_cargo_tool cargo-nextest
            ;;
        lint) need_cargo_tool cargo-deny ;;
        *) fail "\`$purpose\` is none of build, test, api, clients, mutation and lint" ;;
    esac
done
