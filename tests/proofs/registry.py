"200 random interleavings of register, promote, rollback and kill from two clones of one bare repository: tests/test_registry.py, at length."

import os
import subprocess
import sys
from pathlib import Path

root = Path(__file__).resolve().parents[2]
done = subprocess.run(
    [sys.executable, "-m", "pytest", "-q", "tests/test_registry.py"],
    cwd=root,
    env=os.environ | {"REGISTRY_EXAMPLES": os.environ.get("REGISTRY_EXAMPLES", "200")},
)
sys.exit(done.returncode)
