"""What `import detectors` costs those who use one of them."""

from __future__ import annotations

import subprocess
import sys


def test_the_import_brings_neither_numpy_nor_river() -> None:
    heavy = "{'numpy', 'river', 'pandas', 'scipy', 'statistics'}"
    code = f"import sys, detectors; print(sorted({heavy} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "[]"
