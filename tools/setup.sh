#!/usr/bin/env bash
# Build .venv with Python 3.13, the pinned runtime packages and the development tools.
set -euo pipefail
cd "$(dirname "$0")/.."

log=.tools/setup.log
uv() { tools/uv.sh "$@" 2>"$log"; }

echo "Setting up .venv (once, and whenever its requirements change)" >&2
# Said here, a missing uv is its own message.
tools/uv.sh --version >/dev/null || exit 1
mkdir -p .tools
rm -rf .venv
# The constraint makes every test run on the versions that are deployed.
if ! { uv venv --quiet .venv && uv pip install --quiet --python .venv/bin/python \
    --constraint requirements.txt --editable '.[cli]' --group dev --group conformance; }; then
    echo "Python 3.13 or a package is missing and could not be fetched ($(grep -m 2 . "$log" | \
        tr -s '\n ' ' ' | cut -c 1-200)...): give access to them and run make again; all of it is in $log" >&2
    exit 1
fi
touch .venv/ready
