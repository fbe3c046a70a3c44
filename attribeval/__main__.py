"""`python -m attribeval`."""

import sys

from attribeval.cli import main

if __name__ == "__main__":
    sys.exit(main())
