#!/bin/sh
# Resolve what settings.ini asks for into requirements.txt: every version with hashes, no addresses, one version for Python 3.11 and 3.12.
# Left out: rfc3987-syntax and lark, an optional check of jsonschema that nothing here uses and that costs every Jupyter process a second.
set -eu
.venv/bin/python - <<'PY' | .venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
    --no-header --no-annotate --no-emit-package rfc3987-syntax --no-emit-package lark --output-file requirements.txt.new -
from configparser import ConfigParser
c = ConfigParser(delimiters=["="])
c.read("settings.ini", encoding="utf-8")
print("\n".join((c["DEFAULT"]["requirements"] + " " + c["DEFAULT"]["dev_requirements"]).split()))
PY
{ echo "# Every version with hashes; made by \`make lock\` from settings.ini."; cat requirements.txt.new; } > requirements.txt
rm requirements.txt.new
echo "requirements.txt holds $(grep -c '==' requirements.txt) versions; \`make setup\` installs them"
