"""Messages of the engine on their way to the window."""

import threading

import pytest

pytest.importorskip("PySide6")

import shiboken6

from sofia_app.worker.bridge import EngineBridge
from sofia_app.worker.protocol import Message, WorkerReady
from sofia_viewers.qt import QtCore


def in_a_thread(work, *arguments: object) -> list[BaseException]:
    """Run a function in a thread; return what it raised."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work(*arguments)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    return raised


def test_that_messages_of_threads_arrive_in_order(qtbot):
    owner = QtCore.QObject()
    bridge = EngineBridge(owner)
    got: list[Message] = []
    bridge.received.connect(got.extend)
    for number in range(3):
        assert in_a_thread(bridge._take, WorkerReady(number)) == []
    qtbot.waitUntil(lambda: len(got) == 3, timeout=60_000)
    assert got == [WorkerReady(number) for number in range(3)]


def test_that_a_message_after_the_end_touches_no_object_of_qt(qtbot):
    owner = QtCore.QObject()
    bridge = EngineBridge(owner)
    bridge.close()
    shiboken6.delete(owner)
    assert not shiboken6.isValid(bridge)
    assert in_a_thread(bridge._take, WorkerReady(1)) == []
