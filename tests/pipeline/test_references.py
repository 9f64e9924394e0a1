"""Reference files of a step: chosen by catalogue or user, and part of the key of its result."""

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np
import pytest

from sofia_engine.errors import ReferenceDataError, StepError
from sofia_engine.pipeline.references import fingerprint, locate, requested_files, select, wanted_by
from sofia_engine.pipeline.run import Wanted
from sofia_engine.pipeline.state import state_key


@dataclass(frozen=True)
class PublishedFile:
    name: str
    kind: str
    content: bytes
    key: str = ""


@dataclass(frozen=True)
class Request:
    instrument: str = "BENCH"
    kind: str = "gain_map"
    date: datetime = field(default_factory=lambda: datetime(2019, 1, 1, tzinfo=UTC))
    label: str = "gain map"


class Store:
    """Stands in for the store of reference files: two gain maps and a mask; the first gain map is the right one."""

    def __init__(self, folder):
        self.folder = folder
        self.files = (
            PublishedFile("gain/old.fits", "gain_map", b"old"),
            PublishedFile("gain/new.fits", "gain_map", b"new"),
            PublishedFile("mask/new.fits", "mask", b"mask"),
        )
        self.fetched = []

    def catalogue_for(self, _instrument):
        return self

    def find(self, request):
        return next((file for file in self.files if file.kind == request.kind), None)

    def get(self, file):
        self.fetched.append(file.name)
        path = self.folder / file.name.replace("/", "-")
        path.write_bytes(file.content)
        return path

    def compute_sha256(self, file):
        return hashlib.sha256(file.content).hexdigest()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def want(choice="", **request):
    return Wanted(Request(**request), choice)


class TestChoice:
    @pytest.mark.parametrize("choice", ["", "auto", " AUTO "])
    def test_that_an_empty_choice_asks_the_catalogue(self, store, choice):
        assert select(want(choice), store).name == "gain/old.fits"

    @pytest.mark.parametrize(
        "choice",
        [
            "{caldata}/gain/new.fits",
            "gain/new.fits",
            "new.fits",
            "/somewhere/else/data/gain/new.fits",
            "C:\\calibration\\gain\\new.fits",
        ],
    )
    def test_that_a_name_of_the_catalogue_is_found_by_token_path_and_bare_name(self, store, choice):
        file = select(want(choice), store)
        assert (file.name, file.kind) == ("gain/new.fits", "gain_map")

    def test_that_a_file_of_the_user_wins_over_the_catalogue(self, store, tmp_path):
        (tmp_path / "new.fits").write_bytes(b"mine")
        assert select(want(str(tmp_path / "new.fits")), store) == (tmp_path / "new.fits").resolve()

    @pytest.mark.parametrize("choice", ["nothing.fits", "{caldata}/gain/nothing.fits", "/no/where.fits"])
    def test_that_a_missing_file_is_one_sentence(self, store, choice):
        with pytest.raises(
            ReferenceDataError, match="does not exist; give the path of a file, or leave it empty"
        ) as caught:
            select(want(choice), store)
        assert choice in str(caught.value)
        assert "gain map" in str(caught.value)

    def test_that_there_may_be_none_for_an_observation(self, store):
        assert select(want(kind="dark"), store) is None
        assert locate("dark", want(kind="dark"), store) is None

    def test_that_a_file_in_use_has_name_path_and_hash(self, store, tmp_path):
        use = locate("gain", want(), store)
        assert (use.role, use.name, use.sha256) == ("gain", "gain/old.fits", hashlib.sha256(b"old").hexdigest())
        assert use.path.read_bytes() == b"old"

    def test_that_only_files_of_the_catalogue_are_requested(self, store, tmp_path):
        (tmp_path / "mine.fits").write_bytes(b"mine")
        store.files = tuple(replace(file, key=file.name) for file in store.files)
        assert [f.name for f in requested_files([want(), want(), want(str(tmp_path / "mine.fits"))], store)] == [
            "gain/old.fits"
        ]


class TestFingerprint:
    def test_that_it_follows_the_content_of_a_file_of_the_user(self, store, tmp_path):
        path = tmp_path / "mine.fits"
        hashes = []
        for content in (b"one", b"two"):
            path.write_bytes(content)
            hashes.append(fingerprint({"gain": want(str(path))}, store))
        assert hashes[0] != hashes[1]
        assert state_key("p", "s", 1, {}, hashes[0]) != state_key("p", "s", 1, {}, hashes[1])

    def test_that_nothing_is_fetched_for_it(self, store):
        assert fingerprint({"gain": want()}, store) == {"gain": hashlib.sha256(b"old").hexdigest()}
        assert store.fetched == []

    def test_that_a_file_that_cannot_be_read_is_one_sentence(self, store, tmp_path, monkeypatch):
        path = tmp_path / "mine.fits"
        path.write_bytes(b"x")
        monkeypatch.setattr(
            type(path), "open", lambda *_a, **_k: (_ for _ in ()).throw(OSError(5, "Input/output error"))
        )
        with pytest.raises(ReferenceDataError, match=r"mine\.fits cannot be read: Input/output error"):
            fingerprint({"gain": want(str(path))}, store)


class TestInAReduction:
    @pytest.fixture
    def with_gain(self, bench, tmp_path, monkeypatch):
        """A recipe whose second step uses a gain map that the user chooses by the header."""
        from sofia_engine.pipeline import detection

        path = tmp_path / "gain.txt"
        path.write_text("2")

        def apply(image, _p, run):
            return image.replace(FLUX=image["FLUX"] * float(run.reference("gain").path.read_text()))

        step = replace(bench.steps[1], function=apply, references=lambda _h, _p: {"gain": want(str(path))})
        recipe = replace(bench, steps=(bench.steps[0], step, *bench.steps[2:]))
        monkeypatch.setattr(detection, "recipe_for", lambda _header: recipe)
        return path

    def test_that_another_content_of_a_reference_file_makes_another_state(
        self, with_gain, open_reduction, raw_files, store
    ):
        reduction = open_reduction(raw_files, references=store)
        first = reduction.run_to("add")
        flux = reduction.products[0]["FLUX"]
        reduction.undo()
        assert reduction.step() == first
        reduction.undo()
        with_gain.write_text("3")
        second = reduction.step()
        assert second.key != first.key
        np.testing.assert_allclose(reduction.products[0]["FLUX"], flux * 1.5)
        assert second.references[0].sha256 == hashlib.sha256(b"3").hexdigest()

    def test_that_a_missing_reference_file_leaves_the_reduction_where_it_was(
        self, with_gain, open_reduction, raw_files, store
    ):
        reduction = open_reduction(raw_files, references=store)
        before = reduction.step()
        with_gain.unlink()
        with pytest.raises(ReferenceDataError, match=r"gain\.txt does not exist"):
            reduction.step()
        assert reduction.current == before
        with_gain.write_text("2")
        assert reduction.step().step == "add"


def test_that_a_step_without_references_wants_none(bench):
    assert wanted_by(bench.steps[0], {}, bench.steps[0].parameters()) == {}


def test_that_a_step_error_is_raised_when_a_role_is_undeclared(bench, tmp_path, store):
    from astropy.io import fits

    from sofia_engine.pipeline.execution import Surroundings, execute
    from sofia_engine.product import Product

    step = replace(bench.steps[1], function=lambda image, _p, run: run.reference("gain") and image)
    with pytest.raises(StepError, match="there is no gain for this observation"):
        execute(step, bench, [Product.of(fits.Header(), {"FLUX": np.ones(2)})], step.parameters(), Surroundings(store))
