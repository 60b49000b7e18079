#!/bin/sh
# Every test: each notebook's examples against the exported package, the pipeline and the command line. In CI, or with COVERAGE=1, the lines that they reach are counted, and must be enough.
# A log that is no terminal gets a line for each test as it ends, so that whoever reads it sees how far the tests are.
set -eu
cover=
if [ -n "${CI:-}${COVERAGE:-}" ]; then
    rm -f .coverage .coverage.*
    cover="--cov --cov-report=term:skip-covered --cov-fail-under=90"
fi
[ -t 1 ] && lines= || lines=-vv
.venv/bin/python -u -m pytest -n 2 --no-loadscope-reorder $lines $cover "$@"
