#!/bin/sh
# Build .venv from the hash-pinned lock. Does nothing when it is there and fits; a build that was cut short starts anew.
set -eu

fits() { "$1" -c 'import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] <= (3, 12)))' 2>/dev/null; }
lock=$( (pwd; cat requirements.txt) | cksum)
lib= # the library: a folder of this project, or a wheel that the lock names
[ ! -f lib/settings.ini ] || lib=lib
key="$lock $(cat settings.ini pyproject.toml setup.py ${lib:+lib/settings.ini lib/pyproject.toml lib/setup.py} scripts/setup.sh scripts/environment.pth extras/*.txt | cksum)"
if [ "$(cat .venv/ready 2>/dev/null)" = "$key" ] && fits .venv/bin/python; then exit 0; fi

python=
for candidate in "${PYTHON:-python3}" python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && fits "$candidate"; then python=$candidate; break; fi
done
if [ -z "$python" ]; then
    echo "setup: needs Python 3.11 or 3.12, found $(python3 --version 2>&1); install one, or name it: make setup PYTHON=/usr/bin/python3.12" >&2
    exit 1
fi

say() { echo "setup $1"; }
fail() { echo "setup: $1" >&2; exit 1; }
if ! mkdir -p "${HOME:-/nonexistent}/.cache" 2>/dev/null || [ ! -w "$HOME/.cache" ]; then
    export UV_CACHE_DIR="$PWD/.venv/cache" PIP_CACHE_DIR="$PWD/.venv/cache/pip"
fi
wheels="${PIP_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/pip}/mlops-nb" # uv itself, so that the next environment needs no network
export UV_PYTHON_DOWNLOADS=never PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_WARN_SCRIPT_LOCATION=1 PIP_ROOT_USER_ACTION=ignore UV_NO_PROGRESS=0

if [ "$(cat .venv/locked 2>/dev/null)" != "$lock" ] || ! fits .venv/bin/python; then
    say "1/4 · a virtual environment with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv --without-pip .venv || fail "could not make .venv with $python"

    say "2/4 · $(grep -c '^[a-z].*==' requirements.txt) packages from the lock, each checked against its hash"
    sed -n '/^uv==/,/[^\\]$/p' requirements.txt > .venv/uv.txt
    install() { "$@" install --quiet --quiet --no-deps --no-index --find-links "$wheels" --require-hashes --requirement .venv/uv.txt; }
    kept() {
        pip=$("$python" scripts/kept_uv.py "$wheels" .venv/kept) || return 1
        export VIRTUAL_ENV=.venv
        install .venv/kept/uv pip && .venv/kept/uv pip install --quiet --no-deps --no-index --offline "$pip"
    }
    if ! (kept) 2>/dev/null; then
        rm -f "$wheels"/uv-*.whl
        "$python" -m venv .venv || fail "could not make .venv with $python (on Debian and Ubuntu: apt install python3-venv)"
        .venv/bin/python -m pip download --quiet --quiet --no-deps --require-hashes --requirement .venv/uv.txt --dest "$wheels" && install .venv/bin/python -m pip || fail "could not install uv; is there a network?"
    fi
    rm -rf .venv/kept
    sync() { VIRTUAL_ENV=.venv .venv/bin/uv pip sync "$@" --require-hashes --link-mode "${UV_LINK_MODE:-hardlink}" requirements.txt; }
    sync --quiet --offline 2>/dev/null || { if [ -t 2 ]; then sync; else sync --quiet; fi; } || fail "could not install the lock; run again when the network is back, what was downloaded is kept"
    sh scripts/compile.sh .venv/lib
    echo "$lock" > .venv/locked
fi

say "3/4 · this project, its git hooks and matplotlib's fonts"
VIRTUAL_ENV=.venv .venv/bin/uv pip install --quiet --offline --no-deps --no-build-isolation ${lib:+--editable ./lib} --editable . || fail "could not install the project itself"
sh scripts/compile.sh mlops_nb ${lib:+lib/mlops_kit}
for extra in $(cat .dvc/tmp/extras 2>/dev/null); do [ ! -f "extras/$extra.txt" ] || sh scripts/extra.sh "$extra" || exit 1; done
cp scripts/environment.pth "$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/mlops_nb_environment.pth"
.venv/bin/python -c 'import os; os.makedirs(os.environ["IPYTHONDIR"], exist_ok=True); import matplotlib.font_manager' >/dev/null 2>&1
mkdir -p .venv/share/jupyter/lab/settings
echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' > .venv/share/jupyter/lab/settings/overrides.json
if git rev-parse --git-dir >/dev/null 2>&1; then
    git config --local merge.nbdev-merge.name "merge notebooks cell by cell"
    git config --local merge.nbdev-merge.driver ".venv/bin/nbdev_merge %O %A %B %P"
fi

say "4/4 · done; everything works offline from here"
echo "$key" > .venv/ready
