"""What is left when the program is killed or the disk fills up: everything but the running step."""

import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from sofia_engine.errors import SessionError
from sofia_engine.pipeline.reduction import Reduction

STEPS = ("check", "add", "scale", "pair", "combine", "finish")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and limits")


def run_killed(body, toy_folder, *arguments):
    """Run a program that kills itself with SIGKILL; return what it said before."""
    program = textwrap.dedent(f"""
        import os, signal, sys
        import numpy as np
        import sofia_engine.instruments as instruments
        instruments.__path__.append({str(toy_folder)!r})
        from sofia_engine.pipeline.reduction import Reduction

        def die(*_args, **_kwargs):
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

        session, output, *files = sys.argv[1:]
    """) + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.split()


@pytest.fixture
def expected(open_reduction, raw_files):
    """The result of a reduction that nothing disturbed."""
    reduction = open_reduction(raw_files)
    reduction.reduce()
    return reduction.products[0]


@pytest.fixture
def kill(request, tmp_path, raw_files, bench):
    toy_folder = request.config.rootpath / "tests" / "toy_instruments"

    def run(body):
        return run_killed(body, toy_folder, tmp_path / "killed", tmp_path / "output", *raw_files)

    return run


def check_recovery(folder, finished, expected, calls):
    """All finished states are there; going on needs the other steps only, and gives the undisturbed result."""
    with Reduction.resume(folder) as again:
        assert [s.step for s in sorted(again.states.values(), key=lambda s: s.index)][1:] == list(finished)
        for state in again.states.values():
            again.products_of(state)
        calls.clear()
        again.reduce()
        assert set(calls) == set(STEPS[len(finished) :])
        assert again.products[0].same(expected, ignore=["DATE"])


@pytest.mark.parametrize("count", range(len(STEPS) + 1))
def test_that_a_kill_between_two_steps_loses_nothing(kill, tmp_path, expected, calls, count):
    kill(f"""
        reduction = Reduction.open(files, session=session, output=output)
        for _ in range({count}):
            reduction.step()
        die()
    """)
    check_recovery(tmp_path / "killed", STEPS[:count], expected, calls)


def test_that_a_kill_inside_a_step_loses_that_step_only(kill, tmp_path, expected, calls):
    kill("""
        import threading
        reduction = Reduction.open(files, session=session, output=output)
        reduction.step()
        reduction.set("add", seconds=30)
        threading.Timer(0.2, die).start()
        reduction.step()
    """)
    with Reduction.resume(tmp_path / "killed") as again:
        again.set("add", seconds=0)
    check_recovery(tmp_path / "killed", STEPS[:1], expected, calls)


WRITES = {
    "array half written": """
        import sofia_engine.pipeline.stored_products as s
        def half(path, parts):
            path.write_bytes(parts[0].tobytes()[:100])
            die()
        s._write_file = half
    """,
    "array whole, header not": "import pathlib; pathlib.Path.write_text = die",
    "mark not set": "import pathlib; pathlib.Path.touch = die",
    "not renamed": "import sofia_engine.pipeline.session as s; s.rename_patiently = die",
}


@pytest.mark.parametrize("how", WRITES)
def test_that_a_kill_while_a_state_is_stored_loses_that_state_only(kill, tmp_path, expected, calls, how):
    kill(
        """
        reduction = Reduction.open(files, session=session, output=output)
        for _ in range(3):
            reduction.step()
        """
        + WRITES[how]
        + """
        reduction.step()
        """
    )
    check_recovery(tmp_path / "killed", STEPS[:3], expected, calls)
    assert not list((tmp_path / "killed" / "nodes").glob(".*"))


def test_that_a_kill_after_a_state_is_stored_keeps_it_though_the_pointer_was_not_moved(kill, tmp_path, expected, calls):
    kill("""
        reduction = Reduction.open(files, session=session, output=output)
        reduction.step()
        Reduction._store_settings = die
        reduction.step()
    """)
    with Reduction.resume(tmp_path / "killed") as again:
        assert again.current.step == "check"
        calls.clear()
        assert again.step().step == "add"
        assert not calls
        again.reduce()
        assert again.products[0].same(expected, ignore=["DATE"])


def test_that_a_kill_while_a_product_is_written_leaves_no_half_product(kill, tmp_path, expected, calls):
    kill("""
        from sofia_engine.product import Product
        def half(self, stream):
            stream.write(b"SIMPLE  =                    T")
            stream.flush()
            die()
        reduction = Reduction.open(files, session=session, output=output)
        reduction.step()
        Product._write_to = half
        reduction.step()
    """)
    assert list((tmp_path / "output").glob("[!.]*")) == []
    with Reduction.resume(tmp_path / "killed") as again:
        again.reduce()
        assert again.products[0].same(expected, ignore=["DATE"])
    assert (tmp_path / "output" / "BENCH_ADD_0001.fits").exists()


def test_that_branches_survive_a_kill(kill, tmp_path, calls):
    keys = kill("""
        reduction = Reduction.open(files, session=session, output=output)
        reduction.run_to("scale")
        print(reduction.current.key)
        reduction.undo()
        reduction.set("scale", factor=5)
        reduction.run_to("pair")
        print(reduction.current.key)
        die()
    """)
    with Reduction.resume(tmp_path / "killed") as again:
        assert again.current.key == keys[1]
        assert keys[0] in again.states
        assert again.parameters("scale").factor == 5.0


class TestFullDisk:
    def test_that_a_state_that_cannot_be_stored_costs_that_step_only(self, reduction, monkeypatch, calls):
        before = reduction.run_to("add")
        flux = reduction.products[0]["FLUX"].copy()

        def full(*_args, **_kwargs):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("sofia_engine.pipeline.stored_products._write_file", full)
            with pytest.raises(
                SessionError, match=r"result of Scale cannot be stored .*: No space left on device. Make room"
            ):
                reduction.step()
        assert reduction.current == before
        np.testing.assert_array_equal(reduction.products[0]["FLUX"], flux)
        assert reduction.step().step == "scale"

    def test_that_a_pointer_that_cannot_be_stored_stays_where_it_was(self, reduction, monkeypatch, calls):
        before = reduction.run_to("add")
        with monkeypatch.context() as patch:
            patch.setattr(
                reduction.session, "write_settings", lambda _s: (_ for _ in ()).throw(SessionError("cannot be saved"))
            )
            for action in (reduction.step, reduction.undo, reduction.reset):
                with pytest.raises(SessionError, match="cannot be saved"):
                    action()
                assert reduction.current == before
        done = calls["scale"]
        assert reduction.step().step == "scale"
        assert calls["scale"] == done

    def test_that_a_limit_of_the_operating_system_is_one_sentence_and_is_recovered_from(
        self, kill, tmp_path, raw_files
    ):
        said = kill("""
            import resource
            from astropy.io import fits
            big = np.ones((200, 200))
            for file in files:
                header = fits.getheader(file)
                fits.PrimaryHDU(big, header).writeto(file, overwrite=True)
            reduction = Reduction.open(files, session=session)
            reduction.set("check", shape=200)
            reduction.step()
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
            try:
                reduction.step()
            except Exception as error:
                print(type(error).__name__, str(error).count(chr(10)), reduction.current.step)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print(reduction.step().step)
            die()
        """)
        assert said == ["SessionError", "0", "check", "add"]
        with Reduction.resume(tmp_path / "killed") as again:
            assert again.reduce().step == "finish"


def test_that_two_programs_cannot_use_one_session(reduction, request):
    program = f"""
import sofia_engine.instruments as instruments
instruments.__path__.append({str(request.config.rootpath / "tests" / "toy_instruments")!r})
from sofia_engine.pipeline.reduction import Reduction
try:
    Reduction.resume({str(reduction.session.folder)!r})
except Exception as error:
    print(error)
"""
    reduction.step()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert "is open in another window or command; close it there first" in done.stdout
    assert done.stderr == ""
