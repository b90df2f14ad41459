"""How much memory is left, so that a cache can be refused before it fails."""

import os
import pathlib

from official import failures

_MEMINFO = pathlib.Path("/proc/meminfo")
_CGROUPS = (  # versions 2 and 1: folder, limit, use, reclaimable part of the use
    ("/sys/fs/cgroup", "memory.max", "memory.current", "file"),
    (
        "/sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_cache",
    ),
)


def free_bytes() -> int:
    """Memory that this process may still take.

    A container's limit counts where there is one. Where the system does not say what
    is free (macOS), this is all the memory there is.
    """
    return min(
        [_system_free()]
        + [
            _container_free(pathlib.Path(folder), limit, use, cache)
            for folder, limit, use, cache in _CGROUPS
            if pathlib.Path(folder, limit).exists()
        ]
    )


def require(need: float, *, what: str, way_out: str) -> None:
    """Refuses what would take more than half of the free memory.

    Args:
        need: Bytes, or an estimate.

    Raises:
        failures.DataError: Naming what needs it, both amounts, and the way out.
    """
    free = free_bytes()
    if need > free / 2:
        raise failures.DataError(
            f"{what} would take about {need / 2**30:.1f} GiB of memory, and "
            f"{free / 2**30:.1f} GiB are free (at most half is used); {way_out}"
        )


def _system_free() -> int:
    if _MEMINFO.exists():
        return _table(_MEMINFO)["MemAvailable:"] * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _container_free(folder: pathlib.Path, limit: str, use: str, cache: str) -> int:
    allowed = (folder / limit).read_text().strip()
    if allowed == "max":
        return 2**63
    used = int((folder / use).read_text()) - _table(folder / "memory.stat")[cache]
    return max(int(allowed) - used, 0)


def _table(file: pathlib.Path) -> dict[str, int]:
    rows = (line.split() for line in file.read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows}
