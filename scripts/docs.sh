#!/bin/sh
# Build the documentation site in docs/_build/html: generate its reference pages with .venv, then run Sphinx in .venv-docs, an environment from a lock of its own.
# Without a network it works once that environment has been installed. A warning of Sphinx is an error.
set -eu
fail() { echo "docs: $1" >&2; exit 1; }
[ -f docs/requirements.txt ] || fail "docs/requirements.txt is not here; the site belongs to the template, and a project made by \`mlops-nb init\` has none"
if ! mkdir -p "${HOME:-/nonexistent}/.cache" 2>/dev/null || [ ! -w "$HOME/.cache" ]; then export UV_CACHE_DIR="$PWD/.venv/cache"; fi
key=$( (pwd; cat docs/requirements.txt; .venv/bin/python --version) | cksum)
if [ "$(cat .venv-docs/ready 2>/dev/null)" != "$key" ]; then
    rm -rf .venv-docs
    .venv/bin/python -m venv --without-pip .venv-docs
    sync() { VIRTUAL_ENV=.venv-docs .venv/bin/uv pip sync --quiet --require-hashes --link-mode "${UV_LINK_MODE:-hardlink}" "$@" docs/requirements.txt; }
    sync --offline 2>/dev/null || sync || fail "could not install docs/requirements.txt; run again when the network is back"
    sh scripts/compile.sh .venv-docs/lib
    echo "$key" > .venv-docs/ready
fi
.venv/bin/python docs/generate.py docs/_build/source
.venv-docs/bin/python -m sphinx --builder html --fail-on-warning --keep-going --quiet --jobs auto docs/_build/source docs/_build/html
echo "docs: docs/_build/html/index.html; \`make docs-serve\` shows it"
