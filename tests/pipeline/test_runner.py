"""A whole reduction in one call: what it leaves behind, also after a failure."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sofia_engine.errors import InputError, ParameterError, ReferenceDataError, SessionError
from sofia_engine.pipeline.events import Event, FileWritten, Log, StepStarted
from sofia_engine.pipeline.parameter_files import parse_parameters, read_parameters
from sofia_engine.pipeline.parameters import Setting
from sofia_engine.pipeline.run import Cancel
from sofia_engine.pipeline.run_options import RunOptions
from sofia_engine.pipeline.runner import RunRequest, run_reduction
from sofia_engine.pipeline.session import list_sessions
from sofia_engine.product import Product

pytestmark = pytest.mark.usefixtures("toy_instrument", "sessions")


@pytest.fixture
def request_of(tmp_path: Path, make_raw: Callable[..., Path]) -> Callable[..., RunRequest]:
    """Give a function that writes raw files (keywords of each) and returns the request to reduce them."""

    def make(*keywords: dict[str, object], **changes: object) -> RunRequest:
        files = [make_raw(tmp_path / f"raw_{n}.fits", float(n), **words) for n, words in enumerate(keywords)]
        options = RunOptions(output_directory=tmp_path / "out")
        return replace(RunRequest(files=tuple(files), options=options), **changes)  # type: ignore[arg-type]

    return make


def set_value(step: str, **values: object) -> tuple[tuple[str, str, Setting], ...]:
    return tuple((step, key, Setting(value)) for key, value in values.items())


def test_that_a_run_leaves_products_lists_parameters_log_and_summary(request_of: Callable[..., RunRequest]) -> None:
    request = request_of({}, {}, {})
    result = run_reduction(request)
    out = request.options.folder
    assert result.status == "finished"
    assert [Path(path).name for path in result.products] == [
        "STAR_ADD_0.fits", "STAR_ADD_1.fits", "STAR_ADD_2.fits", "STAR_SUM_0-1-2.fits",
    ]  # fmt: skip
    assert Product.read(result.products[-1])["FLUX"][0, 0] == 2.0  # mean of 0, 1, 2, and 1 added
    assert (out / "outfiles.txt").read_text().split() == [Path(path).name for path in result.products]
    assert (out / "sofia_desk_infiles.txt").read_text().splitlines() == [f"../raw_{n}.fits" for n in range(3)]
    summary = json.loads((out / "outfiles.json").read_text())
    assert summary["status"] == "finished"
    assert [Path(path).name for path in summary["auxiliary"]] == ["STAR.png"]
    assert summary["steps"][-1]["quality"][0]["mean"] == 2.0
    assert re.fullmatch(r"sofia_desk_\d{8}_\d{6}\.log", Path(result.log_file).name)
    assert read_parameters(out / "sofia_desk_parameters.toml").sections[1].name == "add"


def test_that_the_log_has_banners_levels_and_every_file(request_of: Callable[..., RunRequest]) -> None:
    result = run_reduction(request_of({}, {}))
    log = Path(result.log_file).read_text()
    assert re.search(r"-{40,}\n.* - add - INFO - Add Amount\n.*-{40,}\n", log)
    assert "add - INFO -   addamount = 1.0\n" in log
    for path in result.products:
        assert f"INFO - Wrote output file {path}\n" in log
    assert "secret" not in log


def test_that_the_as_run_parameters_make_the_same_again(request_of: Callable[..., RunRequest], tmp_path: Path) -> None:
    request = request_of({}, {}, settings=set_value("add", addamount=5.5) + set_value("sum", method="median"))
    first = run_reduction(request)
    for name in ("again.toml", "again.cfg"):
        options = replace(request.options, parameter_file=str(tmp_path / name))
        run_reduction(replace(request, options=options))
        document = read_parameters(tmp_path / name)
        options = replace(request.options, output_directory=tmp_path / name.replace(".", "_"))
        again = run_reduction(replace(request, settings=(), parameters=document, options=options))
        ignored = ("DATE", "HISTORY")
        for old, new in zip(first.products, again.products, strict=True):
            assert Product.read(old).same(Product.read(new), ignored)


def test_that_the_command_line_wins_over_the_file_and_the_file_over_the_data(
    request_of: Callable[..., RunRequest],
) -> None:
    document = parse_parameters("[add]\naddamount = 10\ntimes = 2\n", "run.cfg")
    request = request_of({"OBJECT": "BRIGHT"})
    assert Product.read(run_reduction(request).products[-1])["FLUX"][0, 0] == 2.0
    from_file = run_reduction(replace(request, parameters=document))
    assert Product.read(from_file.products[-1])["FLUX"][0, 0] == 20.0
    both = run_reduction(replace(request, parameters=document, settings=set_value("add", addamount="30")))
    assert Product.read(both.products[-1])["FLUX"][0, 0] == 60.0


def test_that_nothing_is_done_if_any_parameter_is_wrong(request_of: Callable[..., RunRequest]) -> None:
    document = parse_parameters("[sum]\nmethod = mode\n", "run.cfg")
    request = request_of({}, parameters=document, settings=set_value("add", addamonut=1) + set_value("ad", times=1))
    with pytest.raises(ParameterError) as caught:
        run_reduction(replace(request, options=replace(request.options, step_to="nowhere")))
    assert [line.partition(" ")[0] for line in str(caught.value).splitlines()] == [
        "sum.method", "add.addamonut:", "The", "The",
    ]  # fmt: skip
    assert not list(request.options.folder.glob("*.fits"))
    assert list_sessions() == []


def test_that_lists_and_parameters_are_written_after_a_failure_as_well(request_of: Callable[..., RunRequest]) -> None:
    request = request_of({"FAIL": "step"})
    result = run_reduction(request)
    assert (result.status, result.failed_step) == ("failed", "add")
    assert "raw_0.fits: nothing can be added." in result.error
    out = request.options.folder
    assert "status: failed at add." in (out / "sofia_desk_parameters.toml").read_text()
    assert (out / "sofia_desk_infiles.txt").exists()
    assert not (out / "outfiles.txt").exists()
    assert json.loads((out / "outfiles.json").read_text())["error"] == result.error
    assert "add - ERROR - raw_0.fits: nothing can be added." in Path(result.log_file).read_text()
    assert Path(result.session, "session.json").exists()


def test_that_a_mistake_of_the_program_is_one_sentence_and_its_details_are_in_the_log(
    request_of: Callable[..., RunRequest],
) -> None:
    result = run_reduction(request_of({"FAIL": "bug"}))
    assert result.status == "failed"
    assert "Traceback" not in result.error
    assert "ZeroDivisionError" in result.error
    assert "Traceback (most recent call last)" in Path(result.log_file).read_text()


def test_that_a_bad_input_is_skipped_with_its_reason_and_the_others_go_on(
    request_of: Callable[..., RunRequest],
) -> None:
    result = run_reduction(request_of({}, {"BAD": True}, {"FAIL": "step"}))
    assert result.status == "finished"
    assert [Path(file).name for file, _ in result.skipped] == ["raw_1.fits", "raw_2.fits"]
    assert [Path(path).name for path in result.products] == ["STAR_ADD_0.fits", "STAR_SUM_0.fits"]


def test_that_an_interrupted_run_can_be_gone_on_with(request_of: Callable[..., RunRequest]) -> None:
    cancel = Cancel()
    request = request_of({}, {})

    def stop_at_sum(event: Event) -> None:
        if isinstance(event, StepStarted) and event.step == "sum":
            cancel.set()

    result = run_reduction(request, sink=stop_at_sum, cancel=cancel)
    assert result.status == "interrupted"
    started: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, StepStarted):
            started.append(event.step)

    again = run_reduction(RunRequest(session=Path(result.session), options=request.options), sink=note)
    assert again.status == "finished"
    assert started == ["sum"]
    names = [Path(path).name for path in again.products]
    assert names == ["STAR_ADD_0.fits", "STAR_ADD_1.fits", "STAR_SUM_0-1.fits"]
    assert list_sessions() == []


def test_that_the_session_is_kept_if_steps_are_left_or_it_is_wished(request_of: Callable[..., RunRequest]) -> None:
    request = request_of({})
    until = run_reduction(replace(request, options=replace(request.options, step_to="add")))
    assert [Path(path).name for path in until.products] == ["STAR_ADD_0.fits"]
    assert Path(until.session).is_dir()
    assert run_reduction(replace(request, keep_session=True)).session
    assert not run_reduction(request).session


def test_that_steps_of_the_recipe_can_be_chosen(request_of: Callable[..., RunRequest]) -> None:
    request = request_of({}, {})
    result = run_reduction(replace(request, options=replace(request.options, steps=("checkhead", "sum"))))
    assert [step.step for step in result.steps] == ["checkhead", "sum"]
    assert Product.read(result.products[-1])["FLUX"][0, 0] == 0.5


def test_that_strict_runs_do_not_begin_with_a_file_that_cannot_be_used(
    request_of: Callable[..., RunRequest], tmp_path: Path
) -> None:
    request = request_of({})
    (tmp_path / "broken.fits").write_bytes(b"broken")
    request = replace(request, files=(*request.files, tmp_path / "broken.fits"))
    assert run_reduction(request).skipped
    with pytest.raises(InputError, match=r"(?s)strict.*broken\.fits"):
        run_reduction(replace(request, strict=True))


def test_that_an_option_of_old_files_for_a_recipe_that_does_not_exist_is_refused(
    request_of: Callable[..., RunRequest],
) -> None:
    request = request_of({})
    options = replace(request.options, recipe_switches=(("wavecal", "True"),))
    with pytest.raises(ParameterError, match="wavecal = True"):
        run_reduction(replace(request, options=options))
    options = replace(request.options, recipe_switches=(("mode", "spectroscopy"),))
    assert run_reduction(replace(request, options=options)).recipe == "toy-spectroscopy"


def test_that_an_output_folder_that_cannot_be_made_is_named(
    request_of: Callable[..., RunRequest], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    request = request_of({})
    with pytest.raises(InputError, match="file"):
        run_reduction(replace(request, options=replace(request.options, output_directory=tmp_path / "file" / "out")))


def test_that_a_session_in_use_is_refused(request_of: Callable[..., RunRequest], tmp_path: Path) -> None:
    request = request_of({}, session=tmp_path / "mine")
    caught: list[Exception] = []

    def open_again(event: Event) -> None:
        if isinstance(event, StepStarted) and not caught:
            try:
                run_reduction(RunRequest(session=tmp_path / "mine", options=request.options))
            except SessionError as error:
                caught.append(error)

    run_reduction(request, sink=open_again)
    assert "open in another" in str(caught[0])


def test_that_files_that_are_not_wanted_are_not_written(request_of: Callable[..., RunRequest]) -> None:
    request = request_of({})
    options = replace(request.options, input_manifest="", output_manifest="", parameter_file="", log_file="")
    result = run_reduction(replace(request, options=options))
    assert sorted(path.name for path in options.folder.iterdir()) == sorted(
        Path(path).name for path in (*result.products, *result.auxiliary)
    )


def test_that_a_list_that_cannot_be_written_does_not_lose_the_others(request_of: Callable[..., RunRequest]) -> None:
    events: list[Event] = []
    request = request_of({})
    (request.options.folder / "outfiles.txt").mkdir(parents=True)
    result = run_reduction(request, sink=events.append)
    assert result.status == "finished"
    assert (request.options.folder / "sofia_desk_parameters.toml").exists()
    assert any(isinstance(event, Log) and "outfiles.txt cannot be written" in event.message for event in events)
    assert sum(isinstance(event, FileWritten) for event in events) == 3


def test_that_missing_calibration_files_are_told_before_any_work(
    request_of: Callable[..., RunRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sofia_engine.pipeline.reduction import Reduction
    from sofia_engine.reference import ReferenceFile

    missing = ReferenceFile("badpix/mask.fits", "forcast/badpix/mask.fits", "FORCAST", "bad_pixel_mask", 1, "00", ())
    monkeypatch.setattr(Reduction, "preflight", lambda self: [missing])
    request = request_of({}, offline=True)
    with pytest.raises(ReferenceDataError) as caught:
        run_reduction(request)
    assert "badpix/mask.fits (bad pixel mask)" in str(caught.value)
    assert f"sofia-desk data fetch {request.files[0]}" in str(caught.value)
    assert list_sessions() == []
