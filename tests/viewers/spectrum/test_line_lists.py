"""Wavelengths of the built-in lists against what they follow from: energy levels, molecular constants, combinations.

The levels (cm-1, above the lowest of each ion) are those of the NIST Atomic Spectra Database, written down apart from
the lists, which come from measured wavelengths.
"""

import numpy as np
import pytest

from sofia_viewers.spectrum.lines import builtin_lists

LEVELS = {
    "[Fe II] 6D7/2": 384.7872, "[Fe II] 6D5/2": 667.6829, "[Fe II] 4F9/2": 1872.5998, "[Fe II] 4F7/2": 2430.1369,
    "[Fe II] 4F5/2": 2837.9807, "[Mg V] 3P1": 1783.1, "[Mg V] 3P0": 2521.8, "[Ni II] 2D3/2": 1506.94,
    "[Ar II] 2P1/2": 1431.5831, "[Na III] 2P1/2": 1366.3, "[Ne VI] 2P3/2": 1307.0, "[Ar V] 3P1": 763.23,
    "[Ar V] 3P2": 2028.80, "[Ar III] 3P1": 1112.175, "[Ar III] 3P0": 1570.229, "[S IV] 2P3/2": 951.43,
    "[Ne II] 2P1/2": 780.4240, "[Ne V] 3P1": 411.227, "[Ne V] 3P2": 1109.467, "[Cl II] 3P1": 696.00,
    "[Ne III] 3P1": 642.876, "[Ne III] 3P0": 920.550, "[P III] 2P3/2": 559.14, "[S III] 3P1": 298.69,
    "[S III] 3P2": 833.08, "[Fe III] 5D3": 436.2, "[Fe I] 5D3": 415.933, "[S I] 3P1": 396.055,
    "[O IV] 2P3/2": 386.245, "[Si II] 2P3/2": 287.24, "[O III] 3P1": 113.178, "[O III] 3P2": 306.174,
    "[N III] 2P3/2": 174.4, "[O I] 3P1": 158.265, "[O I] 3P0": 226.977, "[Si I] 3P1": 77.115, "[Si I] 3P2": 223.157,
    "[N II] 3P1": 48.738, "[N II] 3P2": 130.774, "[C II] 2P3/2": 63.395087, "[C I] 3P1": 16.416713,
    "[C I] 3P2": 43.413505,
}  # fmt: skip
UNSURE = {"[Mg V]": 2e-3, "[Na III]": 3e-4, "[Ne VI]": 1e-3, "[N III]": 5e-4}
"""Ions whose tabulated levels are less sure than the wavelengths measured from space (Feuchtgruber et al. 1997)."""
H2_GROUND = (354.3735, 587.0325, 814.4246, 1034.6702, 1246.0985, 1447.2788)
"""S(0) to S(5), cm-1 (Jennings et al. 1987)."""
CLIGHT = 299792.458


@pytest.fixture(scope="module")
def lists():
    return {each.name.split(" (")[0]: each.lines for each in builtin_lists()}


def find(lists, part):
    return next(lines for name, lines in lists.items() if part.lower() in name.lower())


def wavenumbers(lines):
    return {line.label: 1e4 / line.wavelength for line in lines}


def read_transitions(part):
    """Ion, upper and lower level, wavelength of each line of the file of atoms."""
    from sofia_engine.resources import resource_path

    text = resource_path("lines", f"{part}.txt").read_text(encoding="utf-8")
    rows = [[word.strip() for word in line.split("|")] for line in text.splitlines() if line and line[0] != "#"]
    return [(row[1], *row[2].split("-"), float(row[0])) for row in rows]


@pytest.mark.parametrize("transition", read_transitions("atoms"), ids=lambda row: f"{row[0]} {row[3]}")
def test_that_atoms_shine_where_their_levels_say(transition):
    ion, first, second, wavelength = transition
    levels = [LEVELS.get(f"{ion} {level}", 0.0) for level in (first, second)]
    assert any(levels), "at least one of the levels is an excited one"
    expected = 1e4 / abs(levels[0] - levels[1])
    assert wavelength == pytest.approx(expected, rel=UNSURE.get(ion, 1e-4))


def test_that_carbon_monoxide_follows_its_constants_and_laboratory_frequencies(lists):
    lines = {line.label: line.wavelength for line in find(lists, "Carbon monoxide")}
    for label, wavelength in lines.items():
        upper = int(label.split()[1].split("-")[0])
        gigahertz = (2 * 57635.96828 * upper - 4 * 0.18350522 * upper**3) / 1e3
        gigahertz += 0.17316e-6 * upper**3 * (6 * upper**2 + 2) / 1e3
        assert wavelength == pytest.approx(CLIGHT / gigahertz, rel=2e-6), label
    for label, gigahertz in {"CO 7-6": 806.651806, "CO 9-8": 1036.912393, "CO 10-9": 1151.985452,
                             "CO 13-12": 1496.922909, "CO 16-15": 1841.345506}.items():  # fmt: skip
        assert lines[label] == pytest.approx(CLIGHT / gigahertz, rel=2e-6), label


def test_that_molecular_hydrogen_follows_its_rotation(lists):
    found = wavenumbers(find(lists, "Molecular hydrogen"))
    ground = np.array([found[f"H2 0-0 S({j})"] for j in range(12)])
    np.testing.assert_allclose(ground[:6], H2_GROUND, rtol=2e-5)
    # a rigid rotor that stretches: differences of levels are a smooth polynomial of the quantum number
    j = np.arange(12.0)
    assert np.abs(ground - np.polyval(np.polyfit(j, ground, 5), j)).max() < 0.4
    hd = np.array([found[f"HD R({j})"] for j in range(4)])
    up = np.arange(1.0, 5.0)
    design = np.stack([2 * up, -4 * up**3, up**3 * (6 * up**2 + 2)], axis=1)
    constants, *_ = np.linalg.lstsq(design, hd, rcond=None)
    np.testing.assert_allclose(design @ constants, hd, rtol=1e-4)
    assert constants[0] == pytest.approx(44.66, abs=0.02)  # B0, cm-1 (Evenson et al. 1988)


def test_that_lines_of_vibrating_hydrogen_share_the_levels_of_the_rotating(lists):
    found = wavenumbers(find(lists, "Molecular hydrogen"))
    # 1-0 Q(1) and 1-0 S(1) start from v=1 J=1 and J=3, and end on v=0 J=1: their difference is S(1) of v=1, some 5 per
    # cent below that of v=0 because of the longer bond
    upper = found["H2 1-0 S(1)"] - found["H2 1-0 Q(1)"]
    assert upper / found["H2 0-0 S(1)"] == pytest.approx(0.95, abs=0.005)


def test_that_water_lines_that_close_a_loop_add_up(lists):
    w = wavenumbers(find(lists, "Water"))
    o = "o-H2O "
    assert w[o + "2_21-1_10"] + w[o + "1_10-1_01"] == pytest.approx(w[o + "2_21-2_12"] + w[o + "2_12-1_01"], abs=2e-3)
    assert w[o + "3_21-2_12"] + w[o + "3_30-3_21"] == pytest.approx(w[o + "3_30-2_21"] + w[o + "2_21-2_12"], abs=4e-3)


def test_that_pairs_of_hydroxyl_are_close_and_in_order(lists):
    waves = [line.wavelength for line in find(lists, "Hydroxyl")]
    pairs = np.array(waves).reshape(-1, 2)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert (np.diff(pairs, axis=1)[:, 0] / pairs[:, 0] < 3e-3).all()  # Lambda doubling


def test_that_pah_features_are_those_of_the_published_decomposition(lists):
    """All features of Smith et al. 2007 (table 3), by which galaxies are decomposed; and the one at 3.3 um."""
    published = (5.27, 5.70, 6.22, 6.69, 7.42, 7.60, 7.85, 8.33, 8.61, 10.68, 11.23, 11.33, 11.99, 12.62, 12.69, 13.48,
                 14.04, 14.19, 15.90, 16.45, 17.04, 17.37, 17.87, 18.92, 33.10)  # fmt: skip
    assert [line.wavelength for line in find(lists, "PAH")] == [3.29, *published]
