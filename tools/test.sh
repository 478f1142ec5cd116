#!/usr/bin/env bash
# Installs gannotate with its test tools into .venv and passes the tests: style, types, unit and command-line tests.
# Arguments go to pytest, e.g. `tools/test.sh -m slow` or `tools/test.sh -m data`.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
workers=$(env -u OMP_NUM_THREADS nproc)  # which gives no more than OMP_NUM_THREADS where that is set
# one thread a process: two processes with two threads each are several times slower on two cores
export OMP_NUM_THREADS=1 PATH="$PWD/.venv/bin:$PATH"
echo "ruff"
ruff check .
ruff format --check .
echo "pyright"
pyright
echo "pytest"
if [ $# -gt 0 ]; then
  exec pytest "$@"
fi
exec pytest -n "$workers" --dist worksteal -m "not slow and not data and not web"
