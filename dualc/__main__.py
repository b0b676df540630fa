"""`python -m dualc` and the `dualc` command."""

from __future__ import annotations

from dualc.cli import main

if __name__ == "__main__":
    main()
