"""How much memory there is, so that what cannot fit is refused and not begun."""

import os
from pathlib import Path

_UNKNOWN = 2**63


def available_memory():
    """Bytes that can be taken without swapping, as far as the system tells.

    The least of what Linux calls available, what is left to the control group, and the
    limit of the process; elsewhere the machine's memory.
    """
    return min(_of_the_machine(), _of_the_group(), _of_the_process())


def _of_the_machine():
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return _UNKNOWN


def _of_the_group():
    try:
        folder = Path("/sys/fs/cgroup")
        limit = int((folder / "memory.max").read_text())
        used = int((folder / "memory.current").read_text())
        cache = sum(
            int(line.split()[1])
            for line in (folder / "memory.stat").read_text().splitlines()
            if line.startswith(("inactive_file ", "active_file "))
        )
        return max(limit - used + cache, 0)
    except (OSError, ValueError, IndexError):
        return _UNKNOWN


def _of_the_process():
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        return _UNKNOWN if limit in (resource.RLIM_INFINITY, -1) else limit
    except (ImportError, OSError, ValueError):
        return _UNKNOWN
