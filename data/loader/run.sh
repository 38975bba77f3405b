#!/bin/sh
# Starts the host, and beside it the loader, which fills the catalogue when it is empty.
#
#   run.sh TARGET_DIR URL
#
# This process becomes the host: Ctrl-C, signals and the exit status are the host's own. The loader ends with the host.
set -eu

target=$1
url=$2
host=$$

{
    # A host that can't start (its port is taken, say) is gone by then; the loader must not find another one in its place.
    sleep 1
    if kill -0 "$host" 2>/dev/null; then
        "$target/release/shop-loader" --url "$url" --if-empty &
        loader=$!
        while kill -0 "$loader" 2>/dev/null; do
            if ! kill -0 "$host" 2>/dev/null; then
                kill "$loader" 2>/dev/null || true
                break
            fi
            sleep 1
        done
    fi
} &

exec "$target/release/bulkhead" up
