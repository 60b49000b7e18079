#!/bin/sh
# Compile folders to bytecode: without it every start takes 2-3 times as long. pip and what packages bring to test themselves are left out, nobody imports them.
# A runner's environment lives for one job: what it imports is compiled then, the rest never.
[ "${GITHUB_ACTIONS:-}" != true ] || exit 0
.venv/bin/python -m compileall -q -j 0 -x 'site-packages/(pip|.*/tests?)/' "$@" >/dev/null || : # a file that cannot be compiled is told by whoever imports it
