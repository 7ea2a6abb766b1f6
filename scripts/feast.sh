#!/bin/sh
# The tests of feature look-ups ask the real Feast, which pins pandas < 3: an environment of its own, from a locked set
# with hashes. Prints its interpreter. It is built anew when the set has changed.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
lock=$root/tests/adapters/features/feast/requirements.lock
home=${FAIRLEAD_PEERS:-$root/.peers}/feast
if ! cmp -s "$lock" "$home/requirements.lock"; then
    rm -rf "$home"
    uv=$root/.venv/bin/uv
    if [ -x "$uv" ]; then
        "$uv" venv --quiet --python "$root/.venv/bin/python" "$home"
        "$uv" pip install --quiet --compile-bytecode --require-hashes --python "$home/bin/python" -r "$lock" >&2
    else
        "${PYTHON:-python3.11}" -m venv "$home"
        "$home/bin/python" -m pip install --quiet --require-hashes -r "$lock" >&2
    fi
    cp "$lock" "$home/requirements.lock"
fi
echo "$home/bin/python"
