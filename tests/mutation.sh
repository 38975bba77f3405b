#!/bin/sh
# Changes the code in one place after the other (a mutant), and runs the tests that are for it: the script fails if a mutant survives, and
# names it. docs/mutation.md has what came of it.
#
#   mutation.sh TARGET_DIR [PART [SHARD]]      PART is one of rules, store and runtime; SHARD is 0/8 to 7/8, or of another number
set -eu

target=$(mkdir -p "$1" && cd "$1" && pwd)
part=${2:-all}
shard=${3:-}
cd "$(dirname "$0")/.."

fail() {
    echo "mutation: $*" >&2
    exit 1
}

# The tests of the host's runtime need the components. A folder of its own keeps what is built between two runs.
own=$target/mutation
mkdir -p "$own"
ln -sfn "$target/components" "$own/components"

mutate() {
    name=$1
    shift
    # The first run of the unchanged code shows that the tests pass, and how long they take. In the folder that this leaves is the outcome
    # of each mutant.
    CARGO_TARGET_DIR=$own cargo mutants --output "$own/$name" ${shard:+--shard "$shard"} "$@"
}

rules() {
    mutate rules --package order --package product --package report --package user --package bulkhead-contracts \
        --file 'components/*/src/rules/**' --file 'components/contracts/src/**'
}
store() { mutate store --package bulkhead-store --file 'host/store/src/**'; }
# Most of what is for the runtime are component tests: they run it in their own process. Those that only look whether each endpoint has a
# test run all others once more, and say nothing of the runtime.
runtime() {
    mutate runtime --package bulkhead-runtime --file 'host/runtime/src/**' \
        --test-package bulkhead-runtime,bulkhead-testing,bulkhead-component-tests \
        -- -E 'not test(every_endpoint_and_subscription_has_a_test)'
}

case $part in
    rules | store | runtime) "$part" ;;
    all)
        status=0
        for each in rules store runtime; do "$each" || status=$?; done
        exit "$status"
        ;;
    *) fail "there is no part \"$part\": say PART=rules, PART=store or PART=runtime" ;;
esac
