#!/usr/bin/env bash
# Run every static check by name, show the output of those that fail, and close with one line.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=()
check() {
    local name=$1 output
    shift
    if output=$(".venv/bin/$1" "${@:2}" 2>&1); then
        printf '%-14s ok\n' "$name"
    else
        printf '%-14s FAILED\n%s\n\n' "$name" "$output"
        failed+=("$name")
    fi
}

check "ruff format" ruff format --check
check "ruff check" ruff check
check "mypy" mypy
check "lint-imports" lint-imports

if ((${#failed[@]})); then
    echo "check: ${#failed[@]} of 4 failed"
    exit 1
fi
echo "check: all 4 passed"
