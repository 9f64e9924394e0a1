"""``python -m sofia_engine`` is the command ``sofia-desk``."""

import sys

from sofia_engine.cli import main

if __name__ == "__main__":
    sys.exit(main())
