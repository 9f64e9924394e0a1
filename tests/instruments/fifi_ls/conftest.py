"""Products of FIFI-LS made by hand, for tests of single steps."""

import numpy as np
import pytest
from astropy.io import fits

from sofia_engine.instruments.fifi_ls.gratings import make_cards, make_plane, make_product
from sofia_engine.reference import ReferenceRequest, ReferenceStore

HEADER = {
    "INSTRUME": "FIFI-LS", "FILENAME": "a.fits", "OBS_ID": "P_X_R00001", "FILENUM": "00001", "DETCHAN": "RED",
    "CHANNEL": "RED", "PRIMARAY": "BLUE", "DICHROIC": 105, "G_ORD_B": 1, "G_FLT_B": 1, "NODSTYLE": "NMC",
    "NODBEAM": "A", "INSTMODE": "SYMMETRIC_CHOP", "DATE-OBS": "2022-03-10T06:00:00", "C_AMP": 60.0, "C_CHOPLN": 64,
    "C_SCHEME": "2POINT", "RAMPLN_R": 32, "RAMPLN_B": 32, "C_CYC_R": 5, "C_CYC_B": 5, "G_STRT_R": 821639, "G_PSUP_R": 2,
    "G_SZUP_R": 1173, "G_PSDN_R": 0, "G_SZDN_R": 0, "G_CYC_R": 1, "G_STRT_B": 430182, "G_PSUP_B": 1, "G_SZUP_B": 1197,
    "G_PSDN_B": 0, "G_SZDN_B": 0, "G_CYC_B": 1, "DLAM_MAP": 0.0, "DBET_MAP": 0.0, "DLAM_OFF": 300.0, "DBET_OFF": 20.0,
    "OBSLAM": 83.8, "OBSBET": -5.4, "OBSRA": 83.8 / 15, "OBSDEC": -5.4, "PLATSCAL": 4.2331334, "DET_ANGL": 25.0,
    "G_WAVE_R": 157.741, "G_WAVE_B": 88.356, "ALTI_STA": 41000.0, "ALTI_END": 41000.0, "ZA_START": 45.0, "ZA_END": 45.0,
    "LAT_STA": 37.0, "LON_STA": -120.0, "TELRA": 83.8 / 15, "TELDEC": -5.4, "EXPTIME": 2.56, "NEXP": 1,
    "MISSN-ID": "2022-03-10_FI_F855", "AOR_ID": "90_0001_01", "OBJECT": "Star", "UTCSTART": "06:00:00",
    "UTCEND": "06:00:05", "PROCSTAT": "LEVEL_2",
}  # fmt: skip


@pytest.fixture
def make_header():
    """Give a function that makes a header, with some keywords changed or (None) left out."""

    def make(**keywords):
        header = fits.Header()
        for keyword, value in (HEADER | {k.replace("__", "-"): v for k, v in keywords.items()}).items():
            if value is not None:
                header[keyword] = value
        return header

    return make


@pytest.fixture
def make_gratings(make_header):
    """Give a function that makes a product of one or several grating positions with planes FLUX and STDDEV.

    Values may be numbers or arrays; further planes are given as lists, one entry per grating position.
    """

    def make(fluxes, errors=1.0, positions=None, planes=None, cards=(), **keywords):
        positions = positions or [821639 + 1173 * n for n in range(len(fluxes))]
        errors = errors if isinstance(errors, list) else [errors] * len(fluxes)
        made = {}
        for n, (flux, error) in enumerate(zip(fluxes, errors, strict=True)):
            frame = make_cards(
                None,
                ("INDPOS", positions[n], ""),
                ("INDPOS_P", 430182, ""),
                ("CHOPNUM", keywords.get("CHOPNUM", 0), ""),
                ("BGLEVL_A", 60.0, ""),
                *cards,
            )
            made[f"FLUX_G{n}"] = make_plane(np.zeros((16, 25)) + flux, "adu/s", frame)
            made[f"STDDEV_G{n}"] = make_plane(np.zeros(made[f"FLUX_G{n}"].shape) + error, "adu/s", frame)
            for name, (values, unit) in (planes or {}).items():
                made[f"{name}_G{n}"] = make_plane(values[n], unit, frame)
        return make_product(make_header(**keywords), made)

    return make


@pytest.fixture(scope="session")
def fifi_store():
    """The reference files of FIFI-LS on this computer; tests that need one that is not here are skipped."""
    from sofia_engine.errors import ReferenceDataError

    store = ReferenceStore(offline=True)
    try:
        store.get(ReferenceRequest("FIFI-LS", "resolution"))
    except ReferenceDataError:
        pytest.skip("the reference files are not on this computer")
    return store


@pytest.fixture
def run_step(fifi_store):
    """Give a function that calls a step as a reduction does: input or inputs, parameters; returns result and run."""
    from sofia_engine.pipeline.references import wanted_by
    from sofia_engine.pipeline.run import Run

    def call(step, inputs, **parameters):
        chosen = step.parameters(**parameters)
        first = inputs if step.maps else inputs[0]
        run = Run(step.key, first.name, store=fifi_store)
        run.wanted = wanted_by(step, first.header, chosen)
        return step.function(inputs, chosen, run), run

    return call
