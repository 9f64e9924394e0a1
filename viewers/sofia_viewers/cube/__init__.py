"""Cube explorer: slices, spectra and maps of cubes, linked on the sky and in wavelength."""
