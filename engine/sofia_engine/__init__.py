"""The SOFIA Desk engine: raw data of the airborne observatory SOFIA to calibrated products, without a screen."""
