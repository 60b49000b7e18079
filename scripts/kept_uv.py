"""Unpack uv from the wheel that an earlier set-up kept, where requirements.txt has its hash, and print the wheel of Python's own pip: `kept_uv.py WHEELS FOLDER`.

So an environment is made without starting pip, which takes longer than uv takes for all packages. A kept wheel that is not in the lock, or none, ends with 1; then setup.sh asks pip.
"""

import ensurepip
import hashlib
import sys
import sysconfig
import zipfile
from pathlib import Path

wheels, folder = map(Path, sys.argv[1:])
locked = Path("requirements.txt").read_text()
kept = [w for w in wheels.glob("uv-*.whl") if hashlib.sha256(w.read_bytes()).hexdigest() in locked]
if len(kept) != 1:
    sys.exit(1)
with zipfile.ZipFile(kept[0]) as wheel:
    uv = next(n for n in wheel.namelist() if n.endswith(".data/scripts/uv"))
    folder.mkdir()
    (folder / "uv").write_bytes(wheel.read(uv))
    (folder / "uv").chmod(0o755)
bundled = sysconfig.get_config_var("WHEEL_PKG_DIR") or f"{ensurepip.__path__[0]}/_bundled"
print(*Path(bundled).glob("pip-*.whl"))
