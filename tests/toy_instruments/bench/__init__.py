"""An instrument for tests of the framework, with a chain of six steps; see `bench_recipes` in tests/conftest.py."""

INSTRUMES = ("BENCH",)


def recipes():
    """Return the recipes of the instrument."""
    from sofia_engine.instruments.bench.steps import CHAIN

    return (CHAIN,)
