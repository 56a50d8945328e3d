"""Print pip constraints that pin the runtime dependencies to the lowest promised."""

import re
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def main():
    """The command."""
    for entry in tomllib.loads(PROJECT.read_text())["project"]["dependencies"]:
        print(re.sub(r"\s*>=\s*", "==", entry))


if __name__ == "__main__":
    main()
