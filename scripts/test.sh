#!/usr/bin/env bash
# Formatter, linter, type check and all tests, on a fresh machine. Arguments are handed
# to pytest.
source "$(dirname "$0")/environment.sh" test
ruff format --check .
ruff check .
mypy
exec python -m pytest -n "${TEST_WORKERS:-2}" --dist loadfile "$@"
