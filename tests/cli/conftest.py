"""What the tests of the command share."""

import pytest

from gplvm.cli import main


@pytest.fixture
def command(capsys):
    """Run the command; give its exit status, standard output and standard error."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run
