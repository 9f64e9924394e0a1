"""Small raw FORCAST files, and a way to run single steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.pipeline.references import wanted_by
from sofia_engine.pipeline.run import Run
from sofia_engine.pipeline.step import Step
from sofia_engine.product import Product
from sofia_engine.reference import ReferenceStore

RAW_CARDS = {
    "TELESCOP": "SOFIA", "INSTRUME": "FORCAST", "INSTCFG": "IMAGING_SWC", "INSTMODE": "C2N", "SKYMODE": "NMC",
    "SPECTEL1": "FOR_F197", "SPECTEL2": "NONE", "DETCHAN": "SW", "SLIT": "NONE", "BORESITE": "CENTER",
    "OBJECT": "Star", "OBSTYPE": "OBJECT", "SRCTYPE": "POINT_SOURCE", "DATASRC": "ASTRO", "AOR_ID": "90_0001_01",
    "OBS_ID": "2018-09-01_FO_F501B0001", "MISSN-ID": "2018-09-01_FO_F501", "DATE-OBS": "2018-09-01T05:10:00.000",
    "WAVELNTH": 19.7, "ALTI_STA": 40000.0, "ALTI_END": 40000.0, "ZA_START": 45.0, "ZA_END": 45.0,
    "DETECTOR": "As-010", "DETITIME": 40.0, "INTTIME": 40.0, "EPERADU": 136, "FRMRATE": 24.0, "ILOWCAP": True,
    "OTMODE": "AD", "OTSTACKS": 1, "NODTIME": 10, "DICHROIC": "Mirror (swc)",
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN",
    "CRPIX1": 128.0, "CRPIX2": 128.0, "CRVAL1": 213.9, "CRVAL2": 19.2, "CDELT1": -2.18e-4, "CDELT2": 2.06e-4,
    "SKY_ANGL": 150.0,
    "CHOPPING": True, "CHPNPOS": 2, "CHPAMP1": 30.0, "CHPANGLE": -330.0, "CHPANGLR": 330.0, "CHPCRSYS": "SIRF",
    "NODDING": True, "NODAMP": 60.0, "NODANGLE": 210.0, "NODANGLR": 150.0, "NODCRSYS": "SIRF", "NODBEAM": "A",
    "DITHER": True, "DTHINDEX": 1, "DTHNPOS": 4, "DITHERX": 0.0, "DITHERY": 0.0,
}  # fmt: skip


@pytest.fixture(scope="session")
def make_header() -> Callable[..., fits.Header]:
    """Make a raw header in which some keywords are others, or missing (None); ``_`` stands for ``-``."""

    def make(**cards: Any) -> fits.Header:
        values = RAW_CARDS | {"FILENAME": "rw_0001.fits"} | {key.replace("_ID", "-ID") if key == "MISSN_ID" else key: v
                                                            for key, v in cards.items()}  # fmt: skip
        if "DATE" in values:
            values["DATE-OBS"] = values.pop("DATE")
        return fits.Header({key: value for key, value in values.items() if value is not None})

    return make


@pytest.fixture(scope="session")
def make_raw(make_header: Callable[..., fits.Header]) -> Callable[..., Product]:
    """Make a raw file of given counts (by default four flat planes) and keywords."""

    def make(counts: Any = None, **cards: Any) -> Product:
        data = np.full((4, 256, 256), 5000.0, dtype=np.float32) if counts is None else np.asarray(counts)
        return Product.of(make_header(**cards), {"PRIMARY": data})

    return make


@pytest.fixture(scope="session")
def make_loaded(make_header: Callable[..., fits.Header]) -> Callable[..., Product]:
    """Make a product as Check Headers leaves it."""

    def make(flux: Any, error: Any = 1.0, **cards: Any) -> Product:
        flux = np.asarray(flux)
        planes = {"FLUX": flux, "ERROR": np.broadcast_to(np.asarray(error, dtype=flux.dtype), flux.shape).copy()}
        return Product.of(make_header(**cards), planes, units={"FLUX": "ct", "ERROR": "ct"})

    return make


@pytest.fixture(scope="session")
def drive() -> Callable[..., tuple[Any, Run]]:
    """Run a step by itself; returns what it makes, and the run with warnings and history."""

    def call(
        step: Step,
        given: Any,
        parameters: dict[str, Any] | None = None,
        *,
        store: ReferenceStore | None = None,
        position: int = 0,
        count: int = 1,
    ) -> tuple[Any, Run]:
        first = given if isinstance(given, Product) else given[0]
        p = step.parameters(**(parameters or {}))
        wanted = wanted_by(step, first.header, p) if store is not None else {}
        run = Run(step.key, first.name, position=position, count=count, wanted=wanted, store=store)
        return step.function(given, p, run), run

    return call


@pytest.fixture(scope="session")
def draw_stars() -> Callable[..., np.ndarray]:
    """Draw round Gaussian stars, given as (x, y, flux), into an empty image; fluxes are those of the pixels' sum."""

    def draw(shape: tuple[int, int], *stars: tuple[float, float, float], fwhm: float = 4.5) -> np.ndarray:
        y, x = np.indices(shape)
        variance = (fwhm / 2.3548200450309493) ** 2
        image = np.zeros(shape)
        for at_x, at_y, flux in stars:
            image += flux / (2 * np.pi * variance) * np.exp(-((x - at_x) ** 2 + (y - at_y) ** 2) / (2 * variance))
        return image

    return draw


SKY_CARDS = {
    "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 213.9, "CRVAL2": 19.18, "CDELT1": -0.768 / 3600,
    "CDELT2": 0.768 / 3600, "CROTA2": 30.0, "EQUINOX": 2000.0, "SKY_ANGL": 150.0,
}  # fmt: skip


@pytest.fixture(scope="session")
def make_stacked(make_loaded: Callable[..., Product]) -> Callable[..., Product]:
    """Make a product as Stack leaves it, with coordinates on the sky."""

    def make(flux: Any, error: Any = 0.01, **cards: Any) -> Product:
        return make_loaded(np.asarray(flux, dtype=float), error, **(SKY_CARDS | cards)).replace(
            units={"FLUX": "Me/s", "ERROR": "Me/s"}
        )

    return make


@pytest.fixture(scope="session")
def reduce_raw(drive: Callable[..., tuple[Any, Run]], reference_store: ReferenceStore) -> Callable[..., Product]:
    """Reduce a raw image to what Stack makes of it, with default or with published treatment; each file once."""
    from sofia_engine.instruments.forcast.check import checkhead
    from sofia_engine.instruments.forcast.clean import clean
    from sofia_engine.instruments.forcast.droop import droop
    from sofia_engine.instruments.forcast.imaging import find_imaging_defaults
    from sofia_engine.instruments.forcast.nonlinearity import nonlin
    from sofia_engine.instruments.forcast.stack import stack

    done: dict[tuple[Path, bool], Product] = {}

    def reduce(path: Path, published: bool = False) -> Product:
        if (path, published) not in done:
            (product,), _ = drive(checkhead, (Product.read(path),))
            chosen = {key: dict(values) for key, values in find_imaging_defaults(product.header).items()}
            chosen["stack"] |= {"jailbar_baseline": "Running median"} if published else {}
            for step in (clean, droop, nonlin, stack):
                product, _ = drive(step, product, chosen.get(step.key, {}), store=reference_store)
            done[path, published] = product
        return done[path, published]

    return reduce


@pytest.fixture(scope="session")
def calibrate_raw(
    drive: Callable[..., tuple[Any, Run]], reduce_raw: Callable[..., Product], reference_store: ReferenceStore
) -> Callable[[Path, bool], Product]:
    """Reduce a folder of raw images to the calibrated one, with default or with published treatment; each once."""
    from sofia_engine.instruments.forcast.coadd import coadd
    from sofia_engine.instruments.forcast.flux_calibration import fluxcal
    from sofia_engine.instruments.forcast.imaging import find_imaging_defaults
    from sofia_engine.instruments.forcast.merge import merge
    from sofia_engine.instruments.forcast.telluric import tellcor
    from sofia_engine.instruments.forcast.undistort import undistort

    as_published = {"pinhole_fit": "Total least squares", "round_crpix": True}
    done: dict[tuple[Path, bool], Product] = {}

    def reduce_one(path: Path, published: bool) -> Product:
        product = reduce_raw(path, published)
        defaults = find_imaging_defaults(product.header)
        product, _ = drive(undistort, product, as_published if published else {}, store=reference_store)
        product, _ = drive(merge, product, dict(defaults["merge"]))
        return drive(tellcor, product, store=reference_store)[0]

    def calibrate(folder: Path, published: bool) -> Product:
        if (folder, published) not in done:
            images = [reduce_one(path, published) for path in sorted(folder.glob("*.fits.gz"))]
            (combined,), _ = drive(coadd, images, {"large_sample_errors": published}, store=reference_store)
            done[folder, published] = drive(fluxcal, combined, store=reference_store)[0]
        return done[folder, published]

    return calibrate
