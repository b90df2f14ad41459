# Sourced by the other scripts: makes .venv with the project in it, then uses it.
# usage: source scripts/environment.sh [EXTRA]

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

supported='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
find_python() {
  local candidate
  for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11 python; do
    if "$candidate" -c "$supported" 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "error: no Python 3.11, 3.12 or 3.13 found; install one or set PYTHON" >&2
  return 2
}

if ! .venv/bin/python -c "$supported" 2>/dev/null; then
  python=$(find_python)
  echo "making .venv with $("$python" --version)"
  rm -rf .venv
  "$python" -m venv .venv
fi

# Installs again only when the metadata or the extra has changed.
wanted="$(cat setup.cfg pyproject.toml | cksum) ${1:-}"
if [ "$(cat .venv/installed 2>/dev/null)" != "$wanted" ]; then
  echo "installing packages (about 3 GB, a few minutes)"
  .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --editable ".${1:+[$1]}"
  echo "$wanted" > .venv/installed
fi
export PATH="$PWD/.venv/bin:$PATH"
