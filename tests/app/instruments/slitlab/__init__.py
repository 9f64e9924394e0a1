"""A spectrograph for tests of the desktop program: its steps say which of their parameters can be dragged."""

INSTRUMES = ("SLITLAB",)


def recipes():
    """Return the recipes of the instrument."""
    from sofia_engine.instruments.slitlab.steps import SLITLAB

    return (SLITLAB,)
