#!/bin/sh
# Resolve what settings.ini asks for, and the library's, into requirements.txt: every version with hashes, no addresses, one version for Python 3.11 and 3.12.
# The library is the folder lib/, or a wheel in vendor/ that stays pinned by its hash. environment.yaml says the versions of what is asked for by name.
# Left out: rfc3987-syntax and lark, an optional check of jsonschema that nothing here uses and that costs every Jupyter process a second.
# docs/requirements.in, where there is one, becomes docs/requirements.txt in the same way.
# Each `NAME_requirements` becomes extras/NAME.txt: what the base lock lacks, at versions that go with it. UPGRADE= (empty) keeps versions as they are.
set -eu
new=$(mktemp -d)
trap 'rm -rf "$new"' EXIT

asked() { .venv/bin/python - "$@" <<'PY'
import sys
from configparser import ConfigParser
from importlib.metadata import requires
from pathlib import Path

def settings(file):
    c = ConfigParser(delimiters=["="])
    c.read(file, encoding="utf-8")
    return c["DEFAULT"]

print("\n".join(" ".join(settings("settings.ini")[key] for key in sys.argv[1:]).split()))
if "requirements" in sys.argv:
    if Path("lib/settings.ini").is_file():
        print("\n".join(settings("lib/settings.ini")["requirements"].split()))
    else:
        print("\n".join(r for r in requires("mlops_kit") if ";" not in r))
PY
}

resolve() { # OUTPUT [OPTION…], what is asked for on standard input
    .venv/bin/uv pip compile --quiet ${UPGRADE---upgrade} --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
        --no-header --no-annotate --no-emit-package rfc3987-syntax --no-emit-package lark --output-file "$@" - >/dev/null
}

packages() { sed -n 's/^\([A-Za-z0-9._-]*\)==.*/\1/p' "$1"; }

sed '/^\.\/vendor\//,$d' requirements.txt > "$new/requirements.txt" # the wheel stands last
asked requirements dev_requirements | resolve "$new/requirements.txt"
{ echo "# Every version with hashes; made by \`make lock\` from settings.ini."; grep -v '^#' "$new/requirements.txt"; } > "$new/lock"
cp "$new/lock" "$new/named"
sed -n '/^\.\/vendor\//,$p' requirements.txt >> "$new/named"
mkdir -p extras
cp "$new/lock" "$new/all"
for name in $(sed -n 's/^\(.*\)_requirements = .*/\1/p' settings.ini | grep -vx dev); do
    [ ! -f "extras/$name.txt" ] || cp "extras/$name.txt" "$new/$name.txt"
    asked "${name}_requirements" | resolve "$new/$name.txt" --constraints "$new/all" $(packages "$new/lock" | sed 's/^/--no-emit-package /')
    { echo "# What \`make extra WITH=$name\` installs beside requirements.txt; made by \`make lock\` from settings.ini."; grep -v '^#' "$new/$name.txt"; } > "extras/$name.txt"
    cat "extras/$name.txt" >> "$new/all"
    echo "extras/$name.txt holds $(grep -c '==' "extras/$name.txt") versions; \`make extra WITH=$name\` installs them"
done
if [ -f docs/requirements.in ]; then # the documentation has an environment of its own, at the same versions where both need a package
    [ ! -f docs/requirements.txt ] || cp docs/requirements.txt "$new/docs.txt"
    grep -v '^#' docs/requirements.in | resolve "$new/docs.txt" --constraints "$new/lock"
    { echo "# What \`make docs\` installs into .venv-docs; made by \`make lock\` from docs/requirements.in."; grep -v '^#' "$new/docs.txt"; } > docs/requirements.txt
    echo "docs/requirements.txt holds $(grep -c '==' docs/requirements.txt) versions; \`make docs\` installs them"
fi
cp "$new/named" requirements.txt
{
    echo "# Versions of what settings.ini asks for by name; made by \`make lock\`. Stages depend on those that shape their result: see dvc.yaml."
    asked requirements | sed 's/[^A-Za-z0-9._-].*//' | sort -u | while read -r name; do
        sed -n "s/^\\($name\\)==\\([^ ;]*\\).*/\\1: \"\\2\"/p" requirements.txt
    done
} > environment.yaml
echo "requirements.txt holds $(grep -c '==' requirements.txt) versions; \`make setup\` installs them"
