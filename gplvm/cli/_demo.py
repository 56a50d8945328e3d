"""`gplvm demo`: the whole story, from image files to a report."""

import json
import platform
import shlex
import sys
import time
from importlib import metadata

from gplvm import __version__
from gplvm.cli._arguments import (
    add_command,
    add_force,
    add_max_iter,
    add_seed,
    whole_number,
)
from gplvm.cli._output import OutputFolder
from gplvm.cli._progress import Progress

_EXAMPLES = """\
  gplvm demo --output story
  gplvm demo --output quick --n-samples 400 --max-iter 50
  gplvm demo --output other --seed 1 --image-size 24
"""
_N_STEPS = 13


def add_to(commands):
    """Add this command's arguments."""
    parser = add_command(
        commands,
        "demo",
        run,
        summary="draw creatures, classify and embed them, and report",
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "--output", metavar="DIR", required=True, help="the folder to write"
    )
    parser.add_argument(
        "--n-samples",
        type=whole_number(140),
        default=2000,
        metavar="N",
        help="how many images (default: 2000)",
    )
    parser.add_argument(
        "--image-size",
        type=whole_number(12, 96),
        default=32,
        metavar="N",
        help="pixels a side (default: 32)",
    )
    add_max_iter(parser, "enough for each")
    add_seed(parser)
    add_force(parser)


def run(arguments):
    """Tell the story on one thread.

    The matrices are small: two threads gain little, and beside another busy process
    they wait for each other and take ten times as long.
    """
    from threadpoolctl import threadpool_limits

    import gplvm.cli._story  # noqa: F401 (the limit binds the libraries loaded by now)

    with threadpool_limits(1):
        _tell(arguments)


def _tell(arguments):
    """Draw, load, classify, embed, measure, draw pictures, report."""
    from gplvm.cli._pictures import draw_pictures
    from gplvm.cli._report import write_report
    from gplvm.cli._story import classify, embed, split_images

    start = time.perf_counter()
    progress = Progress(_N_STEPS)
    with OutputFolder(arguments.output, arguments.force) as folder:
        creatures = _creatures(folder / "creatures", arguments, progress)
        parts = split_images(creatures, arguments.seed)
        classifiers = classify(parts, arguments, progress)
        embeddings = embed(parts, classifiers[0].model, arguments, progress)
        results = {
            "gplvm": __version__,
            "command": shlex.join(["gplvm", *arguments.argv]),
            "seed": arguments.seed,
            "versions": _versions(),
            "images": {
                "count": len(creatures.images),
                "size": list(creatures.images.shape[1:]),
                "species": [str(name) for name in creatures.target_names],
                "train": len(parts.train),
                "embedded": len(parts.embedded),
                "held_out": len(parts.test),
            },
            "classifiers": [fit.numbers for fit in classifiers],
            "embeddings": [fit.numbers for fit in embeddings],
            "notes": progress.notes,
        }
        with progress.step("Drawing the pictures"):
            draw_pictures(folder, parts, classifiers, embeddings)
        with progress.step("Writing the report") as step:
            results["seconds"] = round(time.perf_counter() - start, 1)
            _write_json(folder / "results.json", results)
            plane = _interactive_plane(parts, embeddings)
            write_report(folder / "report.html", results, folder, plane)
            step.remark = f"{results['seconds']:.0f} s in all"
    _summary(arguments.output, results)


def _interactive_plane(parts, embeddings):
    """The plane of the RBF GP-LVM, to move over."""
    from gplvm.cli._plane import interactive_plane
    from gplvm.plotting._style import class_styles

    (rbf,) = [fit for fit in embeddings if fit.numbers["name"] == "RBF GP-LVM"]
    return interactive_plane(
        rbf.model.embedding_,
        parts.images[parts.embedded],
        parts.target[parts.embedded],
        parts.target_names,
        [style.color for style in class_styles(parts.target_names)],
    )


def _creatures(folder, arguments, progress):
    """Draw the creatures into files, and take what the files hold."""
    from gplvm.datasets import load_image_folder, make_creatures, save_image_folder

    with progress.step(f"Drawing {arguments.n_samples} creatures"):
        drawn = make_creatures(
            arguments.n_samples,
            image_size=arguments.image_size,
            random_state=arguments.seed,
        )
    with progress.step("Writing the image folder"):
        save_image_folder(folder, drawn.images, drawn.target, drawn.target_names)
    with progress.step("Loading the images back") as step:
        loaded = load_image_folder(folder)
        step.remark = f"{len(loaded.images)} images, {len(loaded.target_names)} species"
    return loaded


def _versions():
    packages = ("numpy", "scipy", "scikit-learn", "matplotlib", "pillow")
    return {
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
    }


def _write_json(path, results):
    text = json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _summary(output, results):
    print("\nHeld-out accuracy of the classifiers")
    for fit in results["classifiers"]:
        print(f"  {fit['name']:<34} {fit['accuracy']:.3f}  {fit['parameters']} weights")
    print("\nLeave-one-out 1-NN error of the embeddings, on held-out images")
    for fit in results["embeddings"]:
        print(f"  {fit['name']:<34} {fit['nn_error']:.3f}")
    for note in results["notes"]:
        print(f"gplvm demo: note: {note}", file=sys.stderr)
    print(f"\n{output}/report.html tells it all.")
