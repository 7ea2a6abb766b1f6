#!/bin/sh
# Alerts are pushed to a real Alertmanager: finds it and prints its path, or installs Debian's, or says what to do.
set -eu
found() {
    for name in prometheus-alertmanager alertmanager; do
        if command -v "$name" 2>/dev/null; then exit 0; fi
    done
}
found
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing prometheus-alertmanager for the tests of alerts" >&2
    # The tests start their own: the package's service is kept from starting.
    export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2 && apt-get install -y -qq --no-install-recommends prometheus-alertmanager >&2
    found
fi
echo "the tests of alerts need Alertmanager, which is not on the PATH: install it (Debian: apt-get install" \
    "prometheus-alertmanager)" >&2
exit 1
