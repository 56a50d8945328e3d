"""`python -m gplvm` is the `gplvm` command."""

import sys

from gplvm.cli import main

if __name__ == "__main__":
    sys.exit(main())
