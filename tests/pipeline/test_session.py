"""Sessions: folders of states that are whole or not there."""

import json
import os
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.errors import SessionError
from sofia_engine.pipeline.eviction import evict_sessions, folder_size, sessions_limit
from sofia_engine.pipeline.run import Attachment
from sofia_engine.pipeline.session import Session, list_sessions, sessions_folder
from sofia_engine.pipeline.state import State
from sofia_engine.product import Product, Table


@pytest.fixture
def session(tmp_path):
    made = Session(tmp_path / "session")
    yield made
    made.close()


@pytest.fixture
def product():
    header = fits.Header([("OBJECT", "M 42", "target"), ("LONG", "x" * 100), ("CDELT1", 1 / 3600 / 7)])
    header.add_history("made by hand")
    rows = fits.BinTableHDU.from_columns([fits.Column("A", "3D", array=np.arange(6.0).reshape(2, 3))], name="LIST")
    planes = {"FLUX": np.array([[1.0, np.nan]]), "MASK": np.array([[1, 2]], "u1"), "EMPTY": np.zeros((0, 2))}
    return Product.of(header, planes, {"FLUX": "Jy"}).replace(LIST=Table.of(rows))


def make_state(key="k1", **values):
    return State(key=key, parent="root", index=0, step="add", label="Add", products=("a.fits",), **values)


class TestStates:
    def test_that_products_are_read_as_they_were_stored(self, session, product):
        state = make_state()
        session.write_state(state, [product], [])
        (read,) = session.read_products(state)
        assert read.same(product)
        assert read.header.tostring() == product.header.tostring()
        assert isinstance(read["FLUX"].base, np.memmap) or isinstance(read["FLUX"], np.memmap)
        assert not any(plane.data.flags.writeable for plane in read.planes.values())
        assert session.map_products(state, [product])[0].same(product)

    def test_that_states_survive_with_all_they_say(self, session, product):
        state = make_state(
            parameters={"scale": [1.0, 2.0], "text": "µ"},
            warnings=("careful",),
            skipped=(("b.fits", "bad"),),
            quality=({"noise": float("nan")},),
            made=(True,),
            attachments=("a.png",),
        )
        session.write_state(state, [product], [Attachment("a.png", b"picture")])
        read = session.states()["k1"]
        assert (read.parameters, read.warnings, read.skipped, read.made) == (
            state.parameters,
            state.warnings,
            state.skipped,
            state.made,
        )
        assert np.isnan(read.quality[0]["noise"])
        assert session.read_attachments(read) == (Attachment("a.png", b"picture"),)

    def test_that_a_large_plane_that_a_step_left_as_it_was_takes_no_room_again(self, session, product):
        large = np.arange(20_000.0).reshape(100, 200)
        product = product.replace(FLUX=large, MASK=large * 2)
        first, second = make_state("k1"), make_state("k2")
        session.write_state(first, [product], [])
        (mapped,) = session.map_products(first, [product])
        changed = mapped.replace(FLUX=mapped["FLUX"] + 1)
        session.write_state(second, [changed], [])
        files = [{path.name: path for path in session.node(key).glob("0000-*")} for key in ("k1", "k2")]
        shared = {name: path.samefile(files[1][name]) for name, path in files[0].items()}
        assert shared == {"0000-00.npy": False, "0000-01.npy": True, "0000-03.fits": True}
        shutil.rmtree(session.node("k1"))  # what is left does not depend on it
        assert session.read_products(second)[0].same(changed)

    def test_that_a_state_of_many_small_planes_has_few_files(self, session, product):
        planes = {f"PLANE{n}": np.full((3, n), n / 7) for n in range(20)}
        many = Product.of(product.header, planes)
        state = replace(make_state(), products=("a.fits",) * 8)
        session.write_state(state, [many] * 8, [])
        assert len(list(session.node("k1").iterdir())) == 4
        assert all(read.same(many) for read in session.read_products(state))

    def test_that_a_small_part_of_a_large_array_does_not_keep_all_of_it_in_memory(self, session, product):
        large = np.arange(20_000.0).reshape(100, 200)
        session.write_state(make_state(), [product.replace(FLUX=large[:2])], [])
        (mapped,) = session.map_products(make_state(), [product.replace(FLUX=large[:2])])
        assert mapped["FLUX"].base is None
        assert not mapped["FLUX"].flags.writeable
        assert np.array_equal(mapped["FLUX"], large[:2])

    def test_that_planes_are_copied_where_files_cannot_have_two_names(self, session, product, monkeypatch):
        def refuse(*_names):
            raise OSError("no links here")

        session.write_state(make_state("k1"), [product], [])
        (mapped,) = session.map_products(make_state("k1"), [product])
        monkeypatch.setattr(os, "link", refuse)
        session.write_state(make_state("k2"), [mapped], [])
        assert session.read_products(make_state("k2"))[0].same(product)

    def test_that_a_state_may_be_stored_again(self, session, product):
        for value in (1.0, 2.0):
            session.write_state(make_state(), [product.replace(FLUX=np.full((1, 2), value))], [])
        assert session.read_products(make_state())[0]["FLUX"][0, 0] == 2.0

    @pytest.mark.parametrize("failing", ["array", "header", "node", "rename", "attachment"])
    def test_that_a_full_disk_leaves_other_states_and_no_rest(self, session, product, monkeypatch, failing):
        from pathlib import Path

        from sofia_engine.pipeline import session as module
        from sofia_engine.pipeline import stored_products

        session.write_state(make_state("k0"), [product], [])
        before = sorted(session.folder.rglob("*"))

        def full(*_args, **_kwargs):
            raise OSError(28, "No space left on device")

        targets = {
            "array": (stored_products, "_write_file"),
            "header": (Path, "write_text"),
            "node": (Path, "touch"),
            "rename": (module, "rename_patiently"),
            "attachment": (Path, "write_bytes"),
        }
        with monkeypatch.context() as patch:
            patch.setattr(*targets[failing], full)
            with pytest.raises(SessionError, match=r"result of Add cannot be stored in .*: No space left") as caught:
                session.write_state(make_state("k1"), [product], [Attachment("a", b"b")])
        assert "\n" not in str(caught.value)
        assert sorted(session.folder.rglob("*")) == before
        assert set(session.states()) == {"k0"}
        session.write_state(make_state("k1"), [product], [])
        assert set(session.states()) == {"k0", "k1"}

    def test_that_unfinished_nodes_are_discarded_when_the_session_is_opened(self, session, product):
        session.write_state(make_state(), [product], [])
        shutil.copytree(session.node("k1"), session.node("k2"))
        (session.node("k2") / ".done").unlink()
        shutil.copytree(session.node("k1"), session.node(".k3.99.part"))
        session.close()
        again = Session(session.folder)
        assert [node.name for node in (session.folder / "nodes").iterdir()] == ["k1"]
        again.close()

    def test_that_a_node_under_another_name_is_no_state(self, session, product):
        session.write_state(make_state(), [product], [])
        session.node("k1").rename(session.node("k9"))
        assert session.states() == {}

    def test_that_missing_attachments_are_one_sentence(self, session, product):
        state = make_state(attachments=("a.png",))
        session.write_state(state, [product], [])
        with pytest.raises(SessionError, match="is damaged"):
            session.read_attachments(state)


class TestSettings:
    def test_that_settings_are_replaced_as_a_whole(self, session):
        session.write_settings({"a": 1})
        session.write_settings({"b": 2})
        assert session.read_settings() == {"format": 2, "b": 2}

    def test_that_a_failed_write_leaves_the_old_settings(self, session, monkeypatch):
        session.write_settings({"a": 1})
        with monkeypatch.context() as patch:
            patch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
            with pytest.raises(SessionError, match="cannot be saved: No space left"):
                session.write_settings({"a": 2})
        assert session.read_settings()["a"] == 1

    def test_that_actions_are_one_json_value_a_line(self, session):
        session.log_action("step", state="k")
        session.log_action("undo")
        lines = [json.loads(line) for line in (session.folder / "actions.log").read_text().splitlines()]
        assert [line["action"] for line in lines] == ["step", "undo"]
        assert all(abs(line["time"] - time.time()) < 60 for line in lines)


class TestFolders:
    def test_that_the_folder_of_sessions_can_be_named(self, tmp_path, monkeypatch):
        monkeypatch.setenv("SOFIA_DESK_SESSIONS", str(tmp_path / "here"))
        assert sessions_folder() == tmp_path / "here"
        monkeypatch.delenv("SOFIA_DESK_SESSIONS")
        assert sessions_folder().name == "sessions"

    def test_that_sessions_are_listed_the_latest_first(self, tmp_path):
        assert list_sessions(tmp_path / "none") == []
        for age, name in enumerate(("a", "b", "c")):
            made = Session(tmp_path / name)
            made.write_settings({})
            made.close()
            os.utime(made.folder / "session.json", (1e9 - age, 1e9 - age))
        assert [path.name for path in list_sessions(tmp_path)] == ["a", "b", "c"]

    @pytest.mark.parametrize("title", ["forcast-NGC 7027", "a/b\\c:d*?", "Ünï", "x" * 300, ""])
    def test_that_any_title_makes_a_folder(self, tmp_path, title):
        made = Session.create(title, tmp_path)
        assert made.folder.parent == tmp_path
        assert set(made.folder.name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
        made.close()

    def test_that_a_folder_that_cannot_be_made_is_one_sentence(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(SessionError, match=r"cannot be written: .*SOFIA_DESK_SESSIONS"):
            Session(tmp_path / "file" / "session")

    def test_that_a_deleted_session_is_gone(self, session):
        session.delete()
        assert not session.folder.exists()


def fill(folder, name, size=100_000, *, finished=True, age=0):
    made = Session(folder / name)
    made.write_settings({"finished": finished})
    (made.folder / "nodes" / "data").write_bytes(bytes(size))
    made.close()
    os.utime(made.folder / "session.json", (1e9 - age, 1e9 - age))
    return made.folder


class TestEviction:
    def test_that_finished_sessions_go_the_oldest_first_until_the_limit_is_kept(self, tmp_path):
        folders = [fill(tmp_path, f"s{age}", age=age) for age in range(5)]
        assert evict_sessions(tmp_path, 250_000) == [folders[4], folders[3], folders[2]]
        assert folder_size(tmp_path) <= 250_000
        assert folders[0].exists()

    def test_that_nothing_goes_within_the_limit(self, tmp_path):
        fill(tmp_path, "a")
        assert evict_sessions(tmp_path, 200_000) == []

    def test_that_unfinished_sessions_stay(self, tmp_path):
        unfinished = fill(tmp_path, "old", finished=False, age=10)
        finished = fill(tmp_path, "new")
        assert evict_sessions(tmp_path, 0) == [finished]
        assert unfinished.exists()

    def test_that_a_session_in_use_stays(self, tmp_path):
        folder = fill(tmp_path, "a")
        used = Session(folder)
        (folder / "nodes" / "more").mkdir()
        assert evict_sessions(tmp_path, 0) == []
        used.close()
        assert evict_sessions(tmp_path, 0) == [folder]

    @pytest.mark.parametrize("text", ["{", "[]", '{"finished": "yes"}'])
    def test_that_a_session_that_cannot_be_read_stays(self, tmp_path, text):
        folder = fill(tmp_path, "a")
        (folder / "session.json").write_text(text)
        assert evict_sessions(tmp_path, 0) == []
        assert folder.exists()

    def test_that_other_folders_are_never_touched(self, tmp_path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "data").write_bytes(bytes(1000))
        assert evict_sessions(tmp_path, 0) == []
        assert (tmp_path / "mine" / "data").exists()

    def test_that_a_new_session_makes_room(self, tmp_path, monkeypatch):
        folder = fill(tmp_path, "old")
        monkeypatch.setenv("SOFIA_DESK_SESSIONS_LIMIT", "0.00001")
        made = Session.create("new", tmp_path)
        assert not folder.exists()
        made.close()

    @pytest.mark.parametrize(("text", "limit"), [("", 20e9), ("1.5", 1.5e9), ("0", 0), (" 3 ", 3e9)])
    def test_that_the_limit_is_read_in_gigabytes(self, monkeypatch, text, limit):
        monkeypatch.setenv("SOFIA_DESK_SESSIONS_LIMIT", text)
        assert sessions_limit() == limit

    @pytest.mark.parametrize("text", ["much", "-1", "nan", "inf", "20 GB"])
    def test_that_a_limit_that_is_no_number_is_refused(self, monkeypatch, text):
        monkeypatch.setenv("SOFIA_DESK_SESSIONS_LIMIT", text)
        with pytest.raises(SessionError, match="must be a number of gigabytes"):
            sessions_limit()

    def test_that_many_sessions_are_measured_quickly(self, tmp_path):
        for number in range(40):
            folder = tmp_path / f"s{number}" / "nodes"
            folder.mkdir(parents=True)
            (tmp_path / f"s{number}" / "session.json").write_text("{}")
            for file in range(50):
                (folder / f"{file}").touch()
        started = time.perf_counter()
        evict_sessions(tmp_path, 10**9)
        assert time.perf_counter() - started < 0.5
