"""Imaging photometry and flux calibration: telluric correction, profiles, apertures, standards, calibration tables."""
