"""`gplvm embed`: a table, an array or a folder of images, embedded and drawn."""

import csv
import sys

from gplvm.cli._arguments import (
    add_command,
    add_force,
    add_max_iter,
    add_seed,
    whole_number,
)
from gplvm.cli._errors import UserError
from gplvm.cli._inputs import read_input
from gplvm.cli._output import OutputFolder
from gplvm.cli._progress import Progress

_EXAMPLES = """\
  gplvm embed table.csv --labels species --standardize --output embedded
  gplvm embed expression.npz --model linear --n-components 5 --output embedded
  gplvm embed images --image-size 32 --output embedded

It writes embedding.csv, latent.png and, of images, reconstructions.png. A table may
have a header or none; columns of text are left out. An NPZ file holds the rows as
X, data or images (or as its only table) and labels as y or target.
"""
_MODELS = {
    "gplvm": "GP-LVM",
    "linear": "linear GP-LVM",
    "autoencoder": "linear autoencoder",
}


def add_to(commands):
    """Add this command's arguments."""
    parser = add_command(
        commands,
        "embed",
        run,
        summary="embed a table, an array or a folder of images, and draw it",
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "input",
        metavar="INPUT",
        help="a .csv, .tsv, .txt, .npy or .npz file, or a folder with one folder of "
        "images for each class",
    )
    parser.add_argument(
        "--output", metavar="DIR", required=True, help="the folder to write"
    )
    parser.add_argument(
        "--model",
        choices=list(_MODELS),
        default="gplvm",
        help="the GP-LVM, which is non-linear (default), the linear GP-LVM, or the "
        "linear autoencoder",
    )
    parser.add_argument(
        "--kernel",
        choices=["rbf", "linear"],
        help="of --model gplvm (default: rbf)",
    )
    parser.add_argument(
        "--n-components",
        type=whole_number(1),
        default=2,
        metavar="N",
        help="dimensions of the embedding (default: 2)",
    )
    parser.add_argument(
        "--standardize",
        action="store_true",
        help="bring every column to mean 0 and variance 1 first",
    )
    parser.add_argument(
        "--labels",
        metavar="COLUMN",
        help="the column (CSV; its number where there is no header) or array (NPZ) "
        "that labels the rows; it colours the picture and is not embedded",
    )
    parser.add_argument(
        "--image-size",
        type=whole_number(4, 512),
        metavar="N",
        help="resize the images of a folder to N x N pixels",
    )
    add_max_iter(parser, "the model's own")
    add_seed(parser)
    add_force(parser)


def run(arguments):
    """Read, fit, write."""
    if arguments.kernel is not None and arguments.model != "gplvm":
        raise UserError(f"--kernel is for --model gplvm, not {arguments.model}")
    progress = Progress(2)
    with OutputFolder(arguments.output, arguments.force) as folder:
        # One step for both: whatever is wrong with the input is said alone.
        with progress.step("Reading") as step:
            found = read_input(
                arguments.input,
                labels=arguments.labels,
                image_size=arguments.image_size,
            )
            rows, columns = found.data.shape
            _check_size(found, arguments.n_components)
            step.rename(f"Fitting {rows} x {columns}")
            model, data = _fit(found, arguments, step)
        for note in found.notes:
            print(f"gplvm embed: note: {note}", file=sys.stderr)
        with progress.step("Writing"):
            embedding = _embedding(model, data)
            _write_table(folder / "embedding.csv", model, embedding, found)
            _write_pictures(folder, model, data, embedding, found, arguments.model)
    for note in progress.notes:
        print(f"gplvm embed: note: {note}", file=sys.stderr)
    print(
        f"{arguments.output}: {rows} rows of {columns} in {arguments.n_components} "
        f"dimensions by the {_MODELS[arguments.model]}, {model.n_iter_} iterations"
    )


def _check_size(found, n_components):
    rows, columns = found.data.shape
    if n_components > min(rows, columns):
        raise UserError(
            f"{found.source}: {rows} rows of {columns} columns do not have "
            f"{n_components} components (--n-components)"
        )


def _fit(found, arguments, step):
    """The fitted model and the data that it was fitted to."""
    from sklearn.preprocessing import StandardScaler

    model = step.watch(_model(arguments))
    try:
        data = found.data
        if arguments.standardize:
            data = StandardScaler().fit_transform(data)
        return model.fit(data), data
    except ValueError as error:
        place = found.first_not_finite()
        if place is None:
            raise
        # The estimator's own words, and where in the user's file.
        reason = str(error).splitlines()[0]
        raise UserError(f"{found.source}, {place}: {reason}") from error


def _model(arguments):
    limit = {} if arguments.max_iter is None else {"max_iter": arguments.max_iter}
    if arguments.model == "autoencoder":
        from gplvm._autoencoder import LinearAutoencoder

        return LinearAutoencoder(
            arguments.n_components, random_state=arguments.seed, **limit
        )
    from gplvm._gplvm import GPLVM

    kernel = "linear" if arguments.model == "linear" else arguments.kernel or "rbf"
    return GPLVM(
        arguments.n_components, kernel=kernel, random_state=arguments.seed, **limit
    )


def _embedding(model, data):
    """Where the model put the rows that it was fitted to."""
    if hasattr(model, "embedding_"):
        return model.embedding_
    return model.transform(data)


def _write_table(path, model, embedding, found):
    columns = list(model.get_feature_names_out())
    extra = []
    for name, values in (("label", found.labels), ("filename", found.filenames)):
        if values is not None:
            columns.append(name)
            extra.append(values)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        for row, *rest in zip(embedding, *extra, strict=True):
            writer.writerow([*(repr(float(value)) for value in row), *rest])


def _write_pictures(folder, model, data, embedding, found, name):
    from gplvm.plotting import LatentSpaceDisplay, ReconstructionDisplay
    from gplvm.plotting._sheets import save_figure

    images = None
    if found.image_shape is not None:
        images = found.data.reshape(-1, *found.image_shape)
    display = LatentSpaceDisplay.from_estimator(
        model, data, found.labels, images=images
    )
    save_figure(display.figure_, folder / "latent.png")
    if images is None:
        return
    display = ReconstructionDisplay.from_estimators(
        {_MODELS[name]: model}, data, image_shape=found.image_shape
    )
    save_figure(display.figure_, folder / "reconstructions.png")
