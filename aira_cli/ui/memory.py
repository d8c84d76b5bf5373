"""How much of the machine's memory this process holds."""

from __future__ import annotations

import sys
from pathlib import Path


def resident_bytes() -> int:
    """What is in memory now; where the system tells only the highest it ever was, that."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
