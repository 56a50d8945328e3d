"""The `gplvm` command: demo, creatures, embed."""

from gplvm.cli._main import main

__all__ = ["main"]
