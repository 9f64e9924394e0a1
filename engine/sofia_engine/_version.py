"""Version of the program."""

__all__ = ["PIPELINE", "__version__"]

__version__ = "0.1.0"
PIPELINE = "SOFIA_DESK"
