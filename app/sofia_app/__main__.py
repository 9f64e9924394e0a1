"""Start the desktop program: ``python -m sofia_app [FILES]``."""

import sys

from sofia_app.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
