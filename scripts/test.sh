#!/bin/sh
# Every test: the notebooks as notebooks, the exported package, the pipeline and the command line; then the coverage of both together.
set -eu
rm -f .coverage .coverage.*
COVERAGE_PROCESS_START="$PWD/pyproject.toml" .venv/bin/python -m pytest "$@"
