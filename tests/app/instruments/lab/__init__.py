"""An instrument for tests of the desktop program; tests put its folder on the path of `sofia_engine.instruments`."""

INSTRUMES = ("LAB",)


def recipes():
    """Return the recipes of the instrument."""
    from sofia_engine.instruments.lab.steps import LAB

    return (LAB,)
