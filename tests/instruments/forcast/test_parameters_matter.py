"""Every parameter of the imaging recipe changes something: none is dead."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.instruments.forcast.imaging import IMAGING
from sofia_engine.pipeline.reduction import Reduction
from sofia_engine.simulate import simulate

CHANGES = {
    "clean.badfile": "{own_mask}",
    "clean.autoshift": False,
    "clean.shiftfile": "all",
    "clean.interpolate": True,
    "droop.fracdroop": 0.01,
    "nonlin.secctr": "60,60",
    "nonlin.secsize": "20,20",
    "stack.add_frames": True,
    "stack.jbclean": False,
    "stack.bgscale": True,
    "stack.bgsub": False,
    "stack.secctr": "60,60",
    "stack.secsize": "20,20",
    "stack.bgstat": "mode",
    "stack.jailbar_baseline": "Running median",
    "undistort.pinfile": "{caldata}/pinhole/pinhole_locs_SWC_20190629.txt",
    "undistort.extrapolate": False,
    "undistort.skip_undistort": True,
    "undistort.pinhole_fit": "Total least squares",
    "undistort.round_crpix": True,
    "undistort.conserve_flux": True,
    "merge.cormerge": "Header shifts",
    "merge.skip_rotation": True,
    "merge.exact_norm": True,
    "register.corcoadd": "Centroid",
    "register.offsets": "1,0;0,1;1,1;2,0;0,2",
    "register.mfwhm": 9.0,
    "register.xyshift": 1.0,
    "tellcor.phot_compat": True,
    "tellcor.use_wv": True,
    "coadd.phot_compat": True,
    "coadd.skip_coadd": True,
    "coadd.skip_rotation": True,
    "coadd.reference": "First image",
    "coadd.method": "mean",
    "coadd.weighted": False,
    "coadd.robust": False,
    "coadd.threshold": 1.0,
    "coadd.maxiters": 1,
    "coadd.smoothing": 3.0,
    "coadd.large_sample_errors": True,
    "fluxcal.phot_compat": True,
    "fluxcal.rerun_phot": True,
    "fluxcal.srcpos": "{beside_source}",
    "fluxcal.fitsize": 30,
    "fluxcal.fwhm": 2.0,
    "fluxcal.profile": "Gaussian",
    "imgmap.colormap": "gray",
    "imgmap.scale": [1.0, 90.0],
    "imgmap.n_contour": 3,
    "imgmap.contour_color": "white",
    "imgmap.fill_contours": True,
    "imgmap.grid": True,
    "imgmap.watermark": "draft",
    "imgmap.beam": False,
    "imgmap.crop_border": False,
}
RERUN = {"fluxcal": {"rerun_phot": True}}
RESAMPLED = {"coadd": {"method": "resample"}}
CLIPPED = {"coadd": {"method": "mean", "threshold": 1.0}}
CONTOURS = {"imgmap": {"n_contour": 3}}
BESIDES = {
    "clean.shiftfile": {"clean": {"autoshift": False}},
    "merge.exact_norm": {"merge": {"cormerge": "Header shifts"}},
    "register.mfwhm": {"register": {"corcoadd": "Centroid"}},
    "register.xyshift": {"register": {"corcoadd": "Cross-correlation"}},
    "coadd.skip_rotation": {"merge": {"skip_rotation": True}},
    "coadd.weighted": RESAMPLED,
    "coadd.smoothing": RESAMPLED,
    "coadd.maxiters": CLIPPED,
    "coadd.robust": CLIPPED,
    "fluxcal.phot_compat": RERUN,
    "fluxcal.rerun_phot": {"fluxcal": {"profile": "Gaussian"}},
    "fluxcal.srcpos": RERUN,
    "fluxcal.fitsize": RERUN,
    "fluxcal.fwhm": RERUN,
    "fluxcal.profile": RERUN,
    "imgmap.contour_color": CONTOURS,
    "imgmap.fill_contours": CONTOURS,
}
"""What must be set besides for a parameter to matter."""
ELSEWHERE = {"checkhead.abort"}
"""Parameters with tests of their own, and whether products are saved."""


@pytest.fixture(scope="module")
def reduction(tmp_path_factory, reference_store):
    """Give a reduction of five dithers of a standard; steps that are done are not done again."""
    folder = tmp_path_factory.mktemp("parameters")
    files = simulate(
        "forcast-imaging-nmc", folder / "raw", seed=4, n_dither=5, readout_shift=True, sky_drift=40.0,
        dithers_arcsec=((0.0, 0.0), (4.3, 2.1), (-3.2, 5.4), (1.1, -4.2), (-2.3, -1.9)),
    ).paths  # fmt: skip
    for number, file in enumerate(files):  # the target moves
        with fits.open(file, mode="update") as hdus:
            hdus[0].header["TGTRA"], hdus[0].header["TGTDEC"] = (213.9153 + 0.001 * number) / 15, 19.1824
    mask = np.zeros((256, 256), np.uint8)
    mask[100:110, 100:110] = 1
    fits.PrimaryHDU(mask).writeto(folder / "mask.fits")
    with Reduction.open(files, session=folder / "session", references=reference_store) as opened:
        opened.own_mask = str(folder / "mask.fits")
        yield opened


def test_that_every_parameter_is_tried():
    keys = {f"{step.key}.{info.key}" for step in IMAGING.steps for info in step.parameters.infos()}
    assert {key for key in keys if not key.endswith(".save")} - ELSEWHERE == set(CHANGES)


def run(reduction, step, settings):
    """Return products and attachments of a step with these settings only."""
    for other in IMAGING.steps:
        reduction.unset(other.key)
    for key, values in settings.items():
        reduction.set(key, **values)
    state = reduction.run_to(step)
    return reduction.products_of(state), reduction.session.read_attachments(state)


def describe(products, attachments):
    """Return all that a step made, but for its history."""
    ignored = ("HISTORY", "DATE", "COMMENT", "")
    cards = [{key: p.header[key] for key in p.header if key not in ignored} for p in products]
    return cards, [{name: p[name] for name in p.planes} for p in products], [a.content for a in attachments]


@pytest.mark.parametrize("parameter", CHANGES)
def test_that_a_parameter_changes_the_result_and_keeps_it_finite(reduction, parameter):
    step, key = parameter.split(".")
    value = CHANGES[parameter]
    if value == "{own_mask}":
        value = reduction.own_mask
    if value == "{beside_source}":
        header = run(reduction, "coadd", {})[0][0].header
        value = f"{header['SRCPOSX'] + 3:.1f},{header['SRCPOSY'] - 2:.1f}"
    before = {name: dict(values) for name, values in BESIDES.get(parameter, {}).items()}
    after = {name: dict(values) for name, values in before.items()}
    after.setdefault(step, {})[key] = value
    cards, planes, files = describe(*run(reduction, step, before))
    new_cards, new_planes, new_files = describe(*run(reduction, step, after))
    assert all(np.isfinite(p["FLUX"]).any() for p in new_planes)
    assert not all(np.isinf(a).any() for p in new_planes for a in p.values())
    same_planes = len(planes) == len(new_planes) and all(
        old.keys() == new.keys() and all(np.array_equal(old[n], new[n], equal_nan=True) for n in old)
        for old, new in zip(planes, new_planes, strict=True)
    )
    assert not (same_planes and cards == new_cards and files == new_files), f"{parameter} = {value} changes nothing"
