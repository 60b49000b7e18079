#!/bin/sh
# Every test: the notebooks as notebooks, then their examples against the exported package, the pipeline and the command line, with the coverage of all.
set -eu
echo "1/2 · notebooks (nbdev_test)"
.venv/bin/nbdev_test --n_workers 2
[ ! -f lib/settings.ini ] || (cd lib && ../.venv/bin/nbdev_test --n_workers 2)
echo "2/2 · package, pipeline, command line (pytest)"
rm -f .coverage .coverage.*
.venv/bin/python -u -m pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered --cov-fail-under=90 "$@"
