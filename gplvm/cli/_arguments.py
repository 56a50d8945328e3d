"""Arguments that several commands share."""

import argparse


def add_command(commands, name, run, *, summary, examples):
    """A parser of the command's own, with examples below its options."""
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def whole_number(at_least, at_most=None):
    """An argument's type: a whole number between two limits."""

    def parse(text):
        try:
            number = int(text)
        except ValueError:
            number = None
        below = number is None or number < at_least
        if below or (at_most is not None and number > at_most):
            limits = f"of at least {at_least}"
            if at_most is not None:
                limits = f"from {at_least} to {at_most}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {limits}")
        return number

    return parse


def add_seed(parser):
    """--seed."""
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="everything random follows from it (default: 0)",
    )


def add_force(parser):
    """--force."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace what gplvm wrote into that folder before; other files stay",
    )


def add_max_iter(parser, default):
    """--max-iter."""
    parser.add_argument(
        "--max-iter",
        type=whole_number(1),
        metavar="N",
        help=f"at most so many iterations of each fit (default: {default})",
    )


def add_standardize(parser):
    """--standardize."""
    parser.add_argument(
        "--standardize",
        action="store_true",
        help="bring every column to mean 0 and variance 1 first",
    )


def add_image_size(parser):
    """--image-size."""
    parser.add_argument(
        "--image-size",
        type=whole_number(4, 512),
        metavar="N",
        help="resize the images of a folder to N x N pixels",
    )


def add_labels(parser, use):
    """--labels."""
    parser.add_argument(
        "--labels",
        metavar="COLUMN",
        help="the column (CSV; its number where there is no header) or array (NPZ) "
        f"that labels the rows; {use}",
    )
