"""Memory of this machine that the process may still take, and the limit that the user has set to it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sofia_engine.errors import ParameterError

__all__ = [
    "LIMIT_VARIABLE",
    "available_memory",
    "format_size",
    "limited_memory",
    "memory_limit",
    "parse_size",
    "share_memory",
]

LIMIT_VARIABLE = "SOFIA_DESK_MEMORY"
"""Environment variable with the limit: a size such as 4G, or ``unlimited``."""
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_NO_CGROUP_LIMIT = 2.0**60
"""Larger numbers in the files of control groups mean that there is no limit."""


def parse_size(text: str) -> float | None:
    """Read a size of memory.

    Parameters
    ----------
    text : str
        A number of bytes, with K, M, G or T for powers of 1000: ``4G``, ``500 MB``; ``unlimited`` for no limit and no
        guard; empty or ``auto`` for what is free.

    Returns
    -------
    float or None
        Bytes; infinite for ``unlimited``, None for ``auto``.

    Raises
    ------
    ParameterError
        If it is none of these.
    """
    word = text.strip().lower()
    if word in ("", "auto"):
        return None
    if word == "unlimited":
        return float("inf")
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([KMGT]?)I?B?", word.upper())
    if found is None or float(found[1]) == 0:
        raise ParameterError(f"A size of memory is a number such as 4G or 500M, 'auto' or 'unlimited', not '{text}'.")
    return float(found[1]) * _UNITS[found[2]]


def format_size(size: float) -> str:
    """Return a size in words: 750 MB, 3.2 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size, 0) / 1e6:.0f} MB"


def memory_limit() -> float | None:
    """Return the limit that the environment sets, bytes; None if it sets none.

    Raises
    ------
    ParameterError
        If it cannot be understood.
    """
    try:
        return parse_size(os.environ.get(LIMIT_VARIABLE, ""))
    except ParameterError as error:
        raise ParameterError(f"{LIMIT_VARIABLE}: {error}") from None


@contextmanager
def limited_memory(text: str) -> Iterator[None]:
    """Set the limit for a while; an empty text leaves the one that the environment sets."""
    before = os.environ.get(LIMIT_VARIABLE)
    if text:
        os.environ[LIMIT_VARIABLE] = text
    try:
        yield
    finally:
        if before is not None:
            os.environ[LIMIT_VARIABLE] = before
        elif text:
            del os.environ[LIMIT_VARIABLE]


def share_memory(parts: int) -> str:
    """Return the limit for each of several processes that work side by side, as a text for `limited_memory`."""
    limit = memory_limit()
    if limit == float("inf"):
        return "unlimited"
    free = available_memory() if limit is None else min(available_memory(), limit)
    return "" if free == float("inf") else f"{max(free / parts, 1):.0f}"


def release_freed() -> None:
    """Give memory that was freed back to the system, of which the C library of Linux keeps much for itself."""
    if sys.platform != "linux":
        return
    import ctypes

    with suppress(OSError, AttributeError):  # another C library than that of GNU
        ctypes.CDLL(None).malloc_trim(0)


def available_memory(limit: float | None = None) -> float:
    """Return how much memory this process may still take, bytes.

    Parameters
    ----------
    limit : float, optional
        Most memory this process may have in all, bytes.

    Returns
    -------
    float
        The least of what the machine has free without swapping, what a control group (container) leaves, what limits of
        the process (``ulimit -v``, ``-d``) leave, and what is left of ``limit``; infinite if nothing is known.
    """
    candidates = [*_machine(), *_control_groups(), *_process_limits()]
    if limit is not None:
        candidates.append(limit - _used())
    return max(min(candidates, default=float("inf")), 0.0)


def _machine() -> Iterator[float]:
    if sys.platform == "win32":
        yield from _windows()
        return
    free = _fields(Path("/proc/meminfo")).get("MemAvailable")
    if free is not None:
        yield free
        return
    with suppress(AttributeError, ValueError, OSError):  # macOS tells all there is, not what is free
        yield 0.5 * float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _windows() -> Iterator[float]:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            ("total", ctypes.c_ulonglong),
            ("free", ctypes.c_ulonglong),
            ("page_total", ctypes.c_ulonglong),
            ("page_free", ctypes.c_ulonglong),
            ("virtual", ctypes.c_ulonglong * 3),
        )

    status = Status(length=ctypes.sizeof(Status))
    if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):  # type: ignore[attr-defined,unused-ignore]
        yield float(min(status.free, status.page_free))


def _fields(path: Path) -> dict[str, float]:
    """Return lines ``Name: number kB`` of a file of the system, bytes by name."""
    with suppress(OSError):
        found = re.findall(r"^(\w+):\s+(\d+) kB", path.read_text(), re.MULTILINE)
        return {name: float(number) * 1024 for name, number in found}
    return {}


def _control_groups() -> Iterator[float]:
    """Yield what the control groups of this process leave, of both kinds that Linux has."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, controllers, group = line.split(":", 2)
            if number == "0" and not controllers:
                yield from _left_in(Path("/sys/fs/cgroup"), group, "memory.max", "memory.current")
            elif "memory" in controllers.split(","):
                names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
                yield from _left_in(Path("/sys/fs/cgroup/memory"), group, *names)


def _left_in(root: Path, group: str, limit_name: str, used_name: str) -> Iterator[float]:
    for folder in (root / group.lstrip("/"), root):  # a container sees its own group as the root
        with suppress(OSError, ValueError):
            limit = float((folder / limit_name).read_text())  # ValueError: "max"
            if limit < _NO_CGROUP_LIMIT:
                yield limit - float((folder / used_name).read_text()) + _reclaimable(folder)
            return


def _reclaimable(folder: Path) -> float:
    """Return what a control group has of pages of files, which make room when memory is needed, bytes."""
    found = dict(re.findall(r"^(\w+) (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE))
    names = ("total_inactive_file", "total_active_file") if "total_inactive_file" in found else (
        "inactive_file", "active_file")  # fmt: skip
    return float(sum(int(found.get(name, 0)) for name in names))


def _process_limits() -> Iterator[float]:
    try:
        import resource
    except ImportError:  # Windows
        return
    status = _fields(Path("/proc/self/status"))
    for name, used in (("RLIMIT_AS", "VmSize"), ("RLIMIT_DATA", "VmData")):
        limit = resource.getrlimit(getattr(resource, name))[0]
        if limit != resource.RLIM_INFINITY and used in status:
            yield limit - status[used]


def _used() -> float:
    """Return the memory of this process that is its own, without files mapped from disk, bytes."""
    status = _fields(Path("/proc/self/status"))
    if "RssAnon" in status:
        return status["RssAnon"]
    try:
        import resource
    except ImportError:
        return 0.0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(most if sys.platform == "darwin" else most * 1024)
