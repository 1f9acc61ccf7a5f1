"""`python -m sentinel` is the command `sentinel`."""

import sys

from sentinel.cli import main

if __name__ == "__main__":
    sys.exit(main())
