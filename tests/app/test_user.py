"""The program as a user has it: started as a command, on a display, driven by the keyboard."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

pytest.importorskip("PySide6")

GOLDEN = Path(__file__).resolve().parents[2] / "../shared/golden/forcast_img_nmc/raw"
pytestmark = [
    pytest.mark.screen,
    pytest.mark.skipif(not shutil.which("Xvfb") or not shutil.which("xdotool"), reason="needs Xvfb and xdotool"),
]


def wait_for(condition: Callable[[], object], what: str, timeout: float = 60.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)


@pytest.fixture
def display() -> Iterator[str]:
    """Start a display and give its name."""
    read, write = os.pipe()
    # without -noreset the server starts anew whenever its last client goes, and refuses others meanwhile
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1500x950x24", "-nolisten", "tcp", "-noreset"]
    server = subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as stream:
        number = stream.readline().strip()
    assert number, "the display did not start"
    yield f":{number}"
    server.terminate()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait(10)


class User:
    """Starts the program and types."""

    def __init__(self, display: str, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "SOFIA_DESK_SESSIONS": str(folder / "sessions"),
            "SOFIA_DESK_CONFIG": str(folder / "config"),
        }
        self.environment.pop("SOFIA_DESK_OFFLINE", None)
        self.program: subprocess.Popen[bytes] | None = None
        self.window = ""

    def start(self, *files: Path) -> float:
        """Start the program; return how long it took until its window was there."""
        started = time.monotonic()
        command = [sys.executable, "-W", "ignore", "-m", "sofia_app", *map(str, files)]
        self.program = subprocess.Popen(command, env=self.environment, cwd=self.folder)
        wait_for(self.find_window, "the window")
        return time.monotonic() - started

    def focus(self, name: str = "") -> None:
        """Give the window, or another of that name, the keyboard: there is no window manager that would."""
        time.sleep(0.5)
        window = self.call("search", "--onlyvisible", "--name", name).split()[0] if name else self.window
        self.call("windowfocus", "--sync", window)
        time.sleep(0.5)

    def find_window(self) -> bool:
        assert self.program is not None
        assert self.program.poll() is None, "the program has ended; see its standard error"
        found = self.call("search", "--onlyvisible", "--name", "SOFIA Desk", check=False).split()
        self.window = found[0] if found else ""
        return bool(found)

    def call(self, *words: str, check: bool = True) -> str:
        command = ["xdotool", *words]
        result = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=check, timeout=120)
        return result.stdout

    def press(self, *keys: str) -> None:
        self.call("key", "--delay", "60", *keys)

    def press_until(self, key: str, condition: Callable[[], object], what: str) -> None:
        """Press a key until it has its effect: the window may not have the keyboard yet, or be at work."""
        for _ in range(5):
            self.focus()
            self.press(key)
            end = time.monotonic() + 8
            while time.monotonic() < end:
                if condition():
                    return
                time.sleep(0.05)
        raise AssertionError(f"waited in vain for {what}")

    def write(self, text: str) -> None:
        self.call("type", "--delay", "15", text)

    def await_dialog(self, name: str) -> None:
        """Wait until a dialog has the keyboard: it is on the screen earlier, and what is typed then goes elsewhere."""
        wait_for(lambda: self.has_keyboard(name), f"the keyboard in {name}")

    def has_keyboard(self, name: str) -> bool:
        return name in self.call("getwindowfocus", "getwindowname", check=False)

    def windows(self) -> int:
        return len(self.call("search", "--onlyvisible", "--name", ".+", check=False).split())

    def look(self, name: str) -> bytes:
        """Return the pixels of the screen."""
        path = self.folder / f"{name}.ppm"
        subprocess.run(["import", "-window", "root", str(path)], env=self.environment, check=True, timeout=120)
        return path.read_bytes()

    # --- what the session folder tells ---

    @property
    def session(self) -> Path:
        return max((self.folder / "sessions").glob("*/session.json"), key=lambda path: path.stat().st_mtime).parent

    def stored(self) -> dict:
        return json.loads((self.session / "session.json").read_text())

    def states(self, step: str) -> list[dict]:
        """Return the finished states of a step; those being written have a name with a dot."""
        nodes = [json.loads(path.read_text()) for path in self.session.glob("nodes/[!.]*/node.json")]
        return [node for node in nodes if node["step"] == step]

    def is_open(self) -> bool:
        """Tell whether the running program has a reduction open."""
        assert self.program is not None
        return (self.folder / "config" / "open" / f"{self.program.pid}.json").exists()

    def finished(self) -> bool:
        return bool(list((self.folder / "sessions").glob("*/session.json"))) and self.stored()["finished"]

    def quit(self) -> int:
        assert self.program is not None
        self.press("ctrl+q")
        return self.program.wait(20)


@pytest.fixture
def user(display: str, tmp_path: Path) -> Iterator[User]:
    made = User(display, tmp_path)
    yield made
    if made.program is not None and made.program.poll() is None:
        for child in psutil.Process(made.program.pid).children(recursive=True):
            child.kill()
        made.program.kill()
        made.program.wait(20)


@pytest.fixture
def raw(tmp_path: Path) -> list[Path]:
    """Raw FORCAST files: those of the golden set, or simulated ones."""
    folder = tmp_path / "raw"
    folder.mkdir()
    if GOLDEN.is_dir():
        return [Path(shutil.copy(path, folder)) for path in sorted(GOLDEN.glob("*.fits.gz"))[:2]]
    from sofia_engine.simulate import simulate

    simulate("forcast-imaging-nmc", folder, n_dither=2)
    return sorted(folder.glob("*.fits*"))


def test_that_a_user_reduces_branches_compares_saves_and_comes_back(
    user: User, raw: list[Path], tmp_path: Path
) -> None:
    user.start(*raw)
    used = psutil.Process(user.program.pid).cpu_times()
    assert used.user + used.system < 5, "the window should be there within 2 s on a machine that has nothing else to do"
    wait_for(user.is_open, "the reduction")
    user.press_until("F8", lambda: user.states("checkhead"), "the first step")
    user.press_until("F8", lambda: user.states("clean"), "the second step")
    user.press_until("F10", user.finished, "the last step")
    last = user.stored()["current"]
    products = {path.name for path in (tmp_path / "raw" / "reduced").glob("*.fits")}
    assert any("_CAL_" in name for name in products)

    user.press_until("ctrl+z", lambda: user.stored()["current"] != last, "the undo")
    user.press("ctrl+f")  # search a parameter, go to it, change it
    user.write("Number of contours")
    user.press("Return")
    user.write("5")
    user.press("F8")  # a branch
    wait_for(lambda: len(user.states("imgmap")) == 2, "the branch")
    wait_for(user.finished, "the end of the branch")
    assert {state["parameters"]["n_contour"] for state in user.states("imgmap")} == {0, 5}

    before = user.look("before")
    user.press("ctrl+d")  # compare with the twin on the other branch
    wait_for(lambda: user.look("compared") != before, "the comparison")

    (tmp_path / "mine").mkdir()
    user.press("ctrl+s")  # save what is shown
    user.await_dialog("Save products to")
    user.write(str(tmp_path / "mine"))
    user.press("Return")
    wait_for(lambda: list((tmp_path / "mine").glob("*.fits")), "the saved products")
    user.focus()
    assert user.quit() == 0
    session = user.session

    user.start()  # and go on another day
    alone = user.windows()
    user.press_until("ctrl+shift+s", lambda: user.windows() > alone, "the list of sessions")
    user.focus("Sessions")
    user.await_dialog("Sessions")
    user.press("Return")
    wait_for(user.is_open, "the reduction")
    assert user.session == session
    user.focus()
    assert user.quit() == 0


def test_that_a_program_that_was_killed_offers_its_session(user: User, raw: list[Path]) -> None:
    user.start(*raw)
    wait_for(user.is_open, "the reduction")
    user.press_until("F8", lambda: user.states("checkhead"), "the first step")
    worker = psutil.Process(user.program.pid).children(recursive=True)
    user.program.send_signal(signal.SIGKILL)
    user.program.wait(20)
    wait_for(lambda: not any(child.is_running() for child in worker), "the engine to notice", 10)

    user.start()
    wait_for(lambda: user.windows() > 1, "the offer")
    user.focus("Sessions")
    user.await_dialog("Sessions")
    user.press("Return")
    wait_for(user.is_open, "the reduction")
    user.press_until("F8", lambda: user.states("clean"), "the next step")
    assert user.quit() == 0
