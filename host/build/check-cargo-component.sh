#!/bin/sh
# Proves that every guest in components/ also builds with cargo-component, as
#
#   cargo component build --release --target wasm32-unknown-unknown
#
# in its folder. A guest is a crate with [package.metadata.component] in its Cargo.toml.
#
#   check-cargo-component.sh TARGET_DIR
#
# cargo-component wants a `wasm32-wasip1` folder in the sysroot, though it builds for another target. Where rustup has no wasm
# target, Debian's toolchain builds, and a small `rustc` first on PATH shows cargo-component a sysroot with that (empty) folder:
# below TARGET_DIR, so that nothing is written to /usr.
set -eu

target=wasm32-unknown-unknown
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "$1/cargo-component"
work=$(cd "$1/cargo-component" && pwd)
cd "$root"

if ! command -v cargo-component >/dev/null 2>&1; then
    echo 'cargo-component is not installed. This installs it (some minutes), then run this again:' >&2
    echo '  cargo install --locked cargo-component' >&2
    exit 1
fi

# As `bulkhead build` has them.
flags='--cfg getrandom_backend="custom" -C link-arg=-zstack-size=131072'
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="${CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS:-} $flags"
export CARGO_TARGET_DIR="$work/target"

sysroot=$(rustc --print sysroot)
if [ "${BULKHEAD_GUEST_TOOLCHAIN:-}" = debian ] || ! [ -d "$sysroot/lib/rustlib/$target/lib" ]; then
    echo 'building with the toolchain in /usr (rustc-web)'
    mkdir -p "$work/bin" "$work/sysroot/lib/rustlib/wasm32-wasip1"
    cat >"$work/bin/rustc" <<EOF
#!/bin/sh
# cargo-component asks exactly this; cargo itself never does.
if [ "\$*" = '--print sysroot' ]; then
    echo '$work/sysroot'
else
    exec /usr/bin/rustc "\$@"
fi
EOF
    chmod +x "$work/bin/rustc"
    export PATH="$work/bin:$PATH" CARGO=/usr/bin/cargo RUSTC=/usr/bin/rustc
    export RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_abort
    if ! [ -n "${CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER:-}" ]; then
        linker=
        for candidate in "$sysroot"/lib/rustlib/*/bin/rust-lld /usr/bin/wasm-ld-19 /usr/bin/wasm-ld; do
            if [ -z "$linker" ] && [ -x "$candidate" ]; then linker=$candidate; fi
        done
        export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="${linker:-rust-lld}"
    fi
fi

found=0
for manifest in components/*/Cargo.toml; do
    grep -q '^\[package.metadata.component' "$manifest" || continue
    found=$((found + 1))
    guest=$(dirname "$manifest")
    echo "$guest: cargo component build --release --target $target"
    (cd "$guest" && cargo-component component build --release --target "$target")
    name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$manifest" | head -n 1 | tr - _)
    component="$work/target/$target/release/$name.wasm"
    # A component, and not a core module, has this version in its header.
    version=$(od -An -tx1 -j4 -N4 "$component" | tr -d ' \n')
    if [ "$version" != 0d000100 ]; then
        echo "$component is not a component" >&2
        exit 1
    fi
done
if [ "$found" = 0 ]; then
    echo 'there is no guest in components/ with [package.metadata.component]' >&2
    exit 1
fi
echo "$found built with cargo-component"
