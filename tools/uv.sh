#!/usr/bin/env bash
# Run uv: the one on PATH, else one of our own under .tools, installed on first use.
set -euo pipefail
cd "$(dirname "$0")/.."

own=.tools/uv/bin/uv
# Asking for the version also sees through a shim that has nothing behind it.
if uv --version >/dev/null 2>&1; then
    exec uv "$@"
elif ! "$own" --version >/dev/null 2>&1; then
    rm -rf .tools/uv
    mkdir -p .tools
    if ! { python3 -m venv .tools/uv && .tools/uv/bin/python -m pip install --quiet uv; } \
        >.tools/uv.log 2>&1; then
        rm -rf .tools/uv
        echo "uv is missing and could not be installed (.tools/uv.log says why):" \
            "install uv, or Python 3 with venv and access to packages, then run make again" >&2
        exit 1
    fi
fi
exec "$own" "$@"
