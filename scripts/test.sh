#!/bin/sh
# Every test: each notebook's examples against the exported package, the pipeline and the command line, with the coverage of all.
# A log that is no terminal gets a line for each test as it ends, so that whoever reads it sees how far the tests are.
set -eu
rm -f .coverage .coverage.*
[ -t 1 ] && lines= || lines=-vv
.venv/bin/python -u -m pytest -n 2 --no-loadscope-reorder $lines --cov --cov-report=term:skip-covered --cov-fail-under=90 "$@"
