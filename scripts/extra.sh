#!/bin/sh
# Install extras from their locks in extras/ into .venv, and note them in .dvc/tmp/extras: when `make setup` builds .venv anew, it installs them again.
set -eu
allowed=$(cd extras && ls *.txt | sed 's/\.txt$//' | paste -s -d ' ')
fail() { echo "extra: $1" >&2; exit 1; }
[ $# -gt 0 ] || fail "name what to install: make extra WITH=\"$allowed\", or one of them"
for name; do
    case " $allowed " in *" $name "*) ;; *) fail "there is no '$name'; WITH may name: $allowed" ;; esac
done
if ! mkdir -p "${HOME:-/nonexistent}/.cache" 2>/dev/null || [ ! -w "$HOME/.cache" ]; then export UV_CACHE_DIR="$PWD/.venv/cache"; fi
add() { VIRTUAL_ENV=.venv .venv/bin/uv pip install --quiet --no-deps --require-hashes --link-mode "${UV_LINK_MODE:-hardlink}" "$@"; }
for name; do
    add --offline -r "extras/$name.txt" 2>/dev/null || add -r "extras/$name.txt" || fail "could not install $name; run again when the network is back"
done
sh scripts/compile.sh .venv/lib
mkdir -p .dvc/tmp
printf '%s\n' $(cat .dvc/tmp/extras 2>/dev/null) "$@" | sort -u > .dvc/tmp/extras.partial
mv .dvc/tmp/extras.partial .dvc/tmp/extras
echo "extra: $* in .venv, $(cat $(printf 'extras/%s.txt ' "$@") | grep -c '==') packages beside the lock"
