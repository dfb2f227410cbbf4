#!/usr/bin/env bash
# Install Azurite, the storage emulator that the queue and blob tests run on, in .tools.
# Where that cannot be, the tests that need it are skipped, and fail under REQUIRE_ALL=1.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p .tools
log=.tools/azurite.log
if ! command -v npm >/dev/null 2>&1; then
    command -v azurite >/dev/null 2>&1 ||
        echo "npm is missing, so the tests on Azurite are skipped" >&2
    exit 0
fi
echo "Installing Azurite in .tools (once)" >&2
# Azurite after 3.35 wants Node 22.
if npm install --no-audit --no-fund --no-save --no-package-lock --loglevel error \
    --prefix .tools azurite@3.35 >"$log" 2>&1; then
    touch .tools/azurite.ready
else
    echo "Azurite could not be installed ($(grep -m 2 . "$log" | tr -s '\n ' ' ' | \
        cut -c 1-200)...), so the tests on it are skipped; all of it is in $log" >&2
fi
