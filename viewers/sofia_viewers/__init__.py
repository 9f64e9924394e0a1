"""Viewers of images, spectra, cubes and quality: each a widget that also runs alone."""
