"""What an observation is."""

import pytest
from astropy.io import fits

from sofia_engine.instruments.forcast.mode import (
    find_camera,
    find_date,
    find_mode,
    find_sky_mode,
    find_spectral_element,
    is_cross_dispersed,
    is_grism,
    is_slit_image,
    request_reference,
)

MATCHED = {"CHPAMP1": 30.0, "NODAMP": 60.0, "CHPANGLR": 330.0, "NODANGLR": 150.0}


@pytest.mark.parametrize(
    ("cards", "planes", "mode"),
    [
        ({"INSTMODE": "C2", "C2NC2": 1}, 2, "C2NC2"),
        ({"INSTMODE": "C2", "C2NC2": True}, 4, "C2NC4"),
        ({"INSTMODE": "C2", "C2NC2": 0}, 2, "C2"),
        ({"INSTMODE": "C2"}, 2, "C2"),
        ({"INSTMODE": "C2N", "SKYMODE": "NPCNAS"}, 4, "NPCNAS"),
        ({"INSTMODE": "C2N", "SKYMODE": "nmc "}, 4, "NMC"),
        ({"INSTMODE": "C2N", "SKYMODE": "NONE"} | MATCHED, 4, "NMC"),
        ({"INSTMODE": "C2N"} | MATCHED | {"NODANGLR": -30.0}, 4, "NMC"),
        ({"INSTMODE": "C2N"} | MATCHED | {"NODANGLR": 240.0}, 4, "NPC"),
        ({"INSTMODE": "C2N"} | MATCHED | {"NODAMP": 61.0}, 4, "NPC"),
        ({"INSTMODE": "C2N"} | MATCHED | {"NODAMP": 60.4}, 4, "NMC"),
        ({"INSTMODE": "C2N"}, 4, "NPC"),
        ({"INSTMODE": "C2N", "SKYMODE": "C2N"} | MATCHED, 4, "NMC"),
        ({"INSTMODE": "C2NC2", "SKYMODE": "C2NC2"}, 2, "C2NC2"),
        ({"INSTMODE": "C2NC2", "SKYMODE": "C2NC2"}, 4, "C2NC4"),
        ({"INSTMODE": "C2NC2", "SKYMODE": "C2NC4"}, 1, "C2NC4"),
        ({"INSTMODE": "C2", "C2NC2": 1, "SKYMODE": "C2NC4"}, 1, "C2NC4"),
        ({"INSTMODE": "SLITSCAN", "SKYMODE": "SLITSCAN_NXCAC"}, 4, "SLITSCAN_NXCAC"),
        ({"INSTMODE": "NXCAC", "SKYMODE": "NXCAC"}, 4, "NXCAC"),
        ({"INSTMODE": "N", "SKYMODE": "NOD"}, 2, "N"),
        ({"INSTMODE": "STARE", "SKYMODE": "STARE"}, 1, "STARE"),
        ({}, 1, ""),
    ],
)
def test_that_the_sky_mode_follows_from_the_header(cards, planes, mode):
    assert find_sky_mode(fits.Header(cards), planes) == mode
    assert find_sky_mode(fits.Header(cards | {"NAXIS3": planes})) == mode


@pytest.mark.parametrize(
    ("channel", "camera", "element"),
    [
        ("LW", "LW", "FOR_F315"),
        ("1", "LW", "FOR_F315"),
        (1, "LW", "FOR_F315"),
        (" lw", "LW", "FOR_F315"),
        ("SW", "SW", "FOR_F197"),
        (0, "SW", "FOR_F197"),
        (None, "SW", "FOR_F197"),
    ],
)
def test_that_the_channel_decides_camera_and_filter(channel, camera, element):
    header = fits.Header({"SPECTEL1": "FOR_F197", "SPECTEL2": "FOR_F315"})
    if channel is not None:
        header["DETCHAN"] = channel
    assert find_camera(header) == camera
    assert find_spectral_element(header) == element
    assert find_mode(header) == f"IMG_{camera}C"


@pytest.mark.parametrize(
    ("element", "slit", "kind"),
    [
        ("FOR_G063", "FOR_LS24", "grism"),
        ("FOR_XG063", "FOR_SS24", "cross-dispersed"),
        ("FOR_F111", "FOR_LS47", "slit image"),
        ("FOR_F111", "NONE", "image"),
        ("FOR_F111", "UNKNOWN", "image"),
        ("FOR_F111", "", "image"),
    ],
)
def test_that_grism_and_slit_decide_the_kind_of_data(element, slit, kind):
    header = fits.Header({"SPECTEL1": element, "SLIT": slit})
    kinds = {
        "grism": is_grism(header),
        "cross-dispersed": is_cross_dispersed(header),
        "slit image": is_slit_image(header),
    }
    assert {name for name, is_it in kinds.items() if is_it} == ({kind} - {"image"})


@pytest.mark.parametrize(
    ("date", "day"),
    [("2018-09-01T05:10:00.000", 20180901), ("2018-09-01", 20180901), ("", 99999999), ("01/09/18", 99999999)],
)
def test_that_the_day_of_observation_is_read(date, day):
    assert find_date(fits.Header({"DATE-OBS": date})) == day


def test_that_reference_files_are_asked_for_by_date_and_mode():
    header = fits.Header({"DATE-OBS": "2019-07-01", "DETCHAN": "LW", "SPECTEL2": "FOR_G227"})
    asked = request_reference(header, "bad_pixel_mask")
    assert (asked.instrument, asked.date, asked.match) == ("FORCAST", 20190701, {"mode": "G227"})
