"""A small instrument for tests of the framework; tests put its folder on the path of `sofia_engine.instruments`."""

INSTRUMES = ("TOY",)


def recipes():
    """Return the recipes of the instrument."""
    from sofia_engine.instruments.toy.steps import IMAGING, SPECTROSCOPY

    return (IMAGING, SPECTROSCOPY)
