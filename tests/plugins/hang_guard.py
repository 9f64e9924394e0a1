"""Ends a test run that hangs, and says where: a pytest plugin.

pytest-timeout interrupts a test as long as Python runs in the main thread. It cannot reach code that never comes back
to Python (a native lock, an event loop, a destructor that waits for its own thread), nor a process that waits for
threads at its exit, nor a controlling process that waits for a worker. So there are three more guards:

- A phase of a test that takes longer than its timeout and a margin ends its process, after the stacks of all threads
  were written. The watching thread is one of C and needs no lock of Python's. pytest-xdist reports such a test as a
  crash, by its name.
- A process that has not ended some time after its last test is ended likewise; should that fail, the system ends it.
  A worker that has done its tests waits for the others first; that time does not count.
- A controlling process that has heard nothing from its workers for long writes which tests run, and ends them all.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

EXIT_CODE = 70
_TICK = 1.0


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the settings; all are seconds."""
    parser.addini("hang_margin", "a phase of a test ends its process so long after its timeout", default="60")
    parser.addini("hang_farewell", "a process has so long to end after its last test", default="60")
    parser.addini("hang_silence", "longest time without a word from any worker", default="900")


def pytest_configure(config: pytest.Config) -> None:
    """Begin to watch."""
    config.pluginmanager.register(HangGuard(config), "hang-guard")


class HangGuard:
    """Watches the tests of this process, and if it controls others, those."""

    def __init__(self, config: pytest.Config) -> None:
        self.margin, self.farewell, self.silence = (
            float(config.getini(name)) for name in ("hang_margin", "hang_farewell", "hang_silence")
        )
        self.timeout = float(config.getini("timeout") or 0) or 300.0
        self.is_worker = hasattr(config, "workerinput")
        self.controls = not self.is_worker and bool(config.getoption("numprocesses", None))
        self.stderr = os.dup(2)  # what a test writes is captured; this is what the user sees
        self._heard = time.monotonic()
        self._running: dict[str, float] = {}
        self._ended = threading.Event()

    # --- the tests of this process ---

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self) -> Iterator[None]:
        """Watch the import of all tests."""
        with self._watch(self.timeout + self.margin):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        """Watch the fixtures."""
        with self._watch(self._patience(item)):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Watch the test."""
        with self._watch(self._patience(item)):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Iterator[None]:
        """Watch what fixtures clear away."""
        with self._watch(self._patience(item)):
            return (yield)

    def _patience(self, item: pytest.Item) -> float:
        marker = item.get_closest_marker("timeout")
        own = marker.args[0] if marker is not None and marker.args else None
        return (self.timeout if own is None else float(own)) + self.margin

    @contextmanager
    def _watch(self, seconds: float) -> Iterator[None]:
        if self.controls:
            yield
            return
        faulthandler.dump_traceback_later(seconds, exit=True, file=self.stderr)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()

    # --- the end ---

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self) -> Iterator[None]:
        """See to it that this process ends."""
        self._heard = time.monotonic()
        if not self.controls:
            faulthandler.dump_traceback_later(self.farewell, exit=True, file=self.stderr)
            if self.is_worker and hasattr(signal, "SIGALRM"):
                signal.signal(signal.SIGALRM, signal.SIG_DFL)  # the system's own end of a process asks nobody
                signal.alarm(int(self.farewell) + 10)
        return (yield)

    def pytest_unconfigure(self) -> None:
        """Stop watching the workers: they have ended, or were ended. What is left is the end of this process."""
        self._ended.set()
        faulthandler.cancel_dump_traceback_later()
        if self.is_worker:
            if hasattr(signal, "SIGALRM"):
                signal.alarm(0)
            threading.Thread(target=self._await_end, name="hang-guard", daemon=True).start()
            return
        if Path(sys.argv[0]).parent.name == "pytest" or Path(sys.argv[0]).stem == "pytest":
            faulthandler.dump_traceback_later(self.farewell, exit=True, file=self.stderr)

    def _await_end(self) -> None:
        """Watch the end of a worker from where it begins: before, it may wait for the others as long as they take."""
        while threading.main_thread().is_alive():
            time.sleep(_TICK)
        faulthandler.dump_traceback_later(self.farewell, exit=True, file=self.stderr)

    # --- the tests of workers ---

    def pytest_sessionstart(self) -> None:
        """Begin to listen to the workers."""
        if self.controls:
            threading.Thread(target=self._listen, name="hang-guard", daemon=True).start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note that a test runs."""
        self._heard = self._running[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note that a test has ended."""
        self._heard = time.monotonic()
        self._running.pop(nodeid, None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Note that a worker has ended."""
        self._heard = time.monotonic()

    def _listen(self) -> None:
        while not self._ended.wait(_TICK):
            if time.monotonic() - self._heard > self.silence:
                self._give_up()

    def _give_up(self) -> None:
        import psutil

        now = time.monotonic()
        lines = [f"\nHANG: no word from any worker for {self.silence:.0f} s; all processes are ended. Running tests:"]
        lines += [f"  {name} (for {now - begun:.0f} s)" for name, begun in self._running.items()] or ["  none"]
        os.write(self.stderr, ("\n".join(lines) + "\n").encode())
        faulthandler.dump_traceback(file=self.stderr, all_threads=True)
        sys.stdout.flush()
        for child in psutil.Process().children(recursive=True):
            child.kill()
        os._exit(EXIT_CODE)
