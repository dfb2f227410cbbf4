#!/usr/bin/env bash
# Build .venv with Python 3.13, the pinned runtime packages and the development tools.
set -euo pipefail
cd "$(dirname "$0")/.."

uv() { tools/uv.sh "$@" 2>.tools/setup.log; }

mkdir -p .tools
echo "Setting up .venv (once, and whenever its requirements change)" >&2
rm -rf .venv
# The constraint makes every test run on the versions that are deployed.
if ! { uv venv --quiet .venv && uv pip install --quiet --python .venv/bin/python \
    --constraint requirements.txt --editable '.[cli]' --group dev --group conformance; }; then
    echo "The environment could not be set up: $(grep -m 1 . .tools/setup.log)" \
        "(all of it in .tools/setup.log; mend that, then run make again)" >&2
    exit 1
fi
touch .venv/ready
