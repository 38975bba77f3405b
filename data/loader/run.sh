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
data=${BULKHEAD_DATA:-data}
file=$data/admin.password

# The administrator's password: that of the environment, or one that is made up once and kept for its owner alone.
if [ -z "${SHOP_ADMIN_PASSWORD:-}" ]; then
    if [ ! -s "$file" ]; then
        mkdir -p "$data"
        (umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' '-_' >"$file.new" && mv "$file.new" "$file")
        echo "made up a password for the administrator: $(cat "$file")"
    fi
    SHOP_ADMIN_PASSWORD=$(cat "$file")
    echo "the administrator is admin@shop.example, with the password in $file"
fi
export SHOP_ADMIN_PASSWORD

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

# The catalogue is loaded by thousands of requests, and a line for each would bury what this terminal is to show.
export BULKHEAD_ACCESS_LOG="${BULKHEAD_ACCESS_LOG:-off}"

exec "$target/release/bulkhead" up
