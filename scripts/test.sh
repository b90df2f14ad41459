#!/usr/bin/env bash
# Formatter, linter, type check and all tests, on a fresh machine. Arguments are handed
# to pytest.
source "$(dirname "$0")/environment.sh" test

# MediaPipe asks for another absl-py than tensorflow-model-optimization does, and runs
# with that one, too: so it comes alone, with the one package that it imports besides
# ours. Without it tests/test_mediapipe.py is skipped.
mediapipe=("mediapipe>=1.2.2,<1.3" "opencv-python-headless>=5.0,<5.1")
if [ "$(cat .venv/installed_mediapipe 2>/dev/null)" != "${mediapipe[*]}" ]; then
  if python -m pip install --quiet --disable-pip-version-check --no-deps \
    "${mediapipe[@]}"; then
    echo "${mediapipe[*]}" > .venv/installed_mediapipe
  else
    echo "MediaPipe could not be installed: its tests are skipped" >&2
  fi
fi
ruff format --check .
ruff check .
mypy
exec python -m pytest -n "${TEST_WORKERS:-2}" --dist loadfile --no-loadscope-reorder "$@"
