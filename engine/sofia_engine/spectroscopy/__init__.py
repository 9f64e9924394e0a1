"""Slit spectroscopy: what grism and echelle spectrographs share, from order edges to calibrated spectra.

Conventions: rectified images are (slit, wavelength), slit positions in arcsec and wavelengths in micrometres rise with
the index and are those of pixel centres. Errors are 1-sigma, variances their squares; NaN is no data.

References
----------
Cushing, M. C., Vacca, W. D., & Rayner, J. T. 2004, PASP, 116, 362 (Spextool); Horne, K. 1986, PASP, 98, 609;
Vacca, W. D., Cushing, M. C., & Rayner, J. T. 2003, PASP, 115, 389.
"""
