"""`gplvm creatures`: an image folder to try things on."""

import argparse

from gplvm.cli._arguments import add_command, add_force, add_seed, whole_number
from gplvm.cli._output import OutputFolder
from gplvm.cli._progress import Progress

_EXAMPLES = """\
  gplvm creatures images
  gplvm creatures large --n-samples 500 --image-size 64 --format jpeg --seed 1
"""


def add_to(commands):
    """Add this command's arguments."""
    parser = add_command(
        commands,
        "creatures",
        run,
        summary="draw images of seven species into a folder for each",
        examples=_EXAMPLES,
    )
    parser.add_argument("output", metavar="DIR", help="the folder to write")
    parser.add_argument(
        "--n-samples",
        type=whole_number(7),
        default=2000,
        metavar="N",
        help="how many images (default: 2000)",
    )
    parser.add_argument(
        "--image-size",
        type=whole_number(8, 512),
        default=32,
        metavar="N",
        help="pixels a side (default: 32)",
    )
    parser.add_argument(
        "--noise",
        type=_noise,
        metavar="SD",
        help="standard deviation of the pixels' noise; white is 1",
    )
    parser.add_argument(
        "--format", choices=["png", "jpeg"], default="png", help="(default: png)"
    )
    add_seed(parser)
    add_force(parser)


def _noise(text):
    try:
        noise = float(text)
    except ValueError:
        noise = -1.0
    if not 0.0 <= noise <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return noise


def run(arguments):
    """Draw the images and write them."""
    from gplvm.datasets import make_creatures, save_image_folder

    noise = {} if arguments.noise is None else {"noise": arguments.noise}
    progress = Progress(2)
    with OutputFolder(arguments.output, arguments.force) as folder:
        with progress.step(f"Drawing {arguments.n_samples} creatures"):
            creatures = make_creatures(
                arguments.n_samples,
                image_size=arguments.image_size,
                random_state=arguments.seed,
                **noise,
            )
        with progress.step("Writing the images"):
            save_image_folder(
                folder,
                creatures.images,
                creatures.target,
                creatures.target_names,
                format=arguments.format,
            )
    print(
        f"{arguments.output}: {arguments.n_samples} images of "
        f"{len(creatures.target_names)} species"
    )
