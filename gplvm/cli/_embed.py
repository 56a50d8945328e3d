"""`gplvm embed`: a table, an array or a folder of images, embedded and drawn."""

import argparse
import sys

import numpy as np

from gplvm.cli._arguments import (
    add_command,
    add_force,
    add_image_size,
    add_labels,
    add_max_iter,
    add_seed,
    add_standardize,
    whole_number,
)
from gplvm.cli._errors import UserError, data_errors
from gplvm.cli._inputs import read_input
from gplvm.cli._models import write_model, write_table
from gplvm.cli._output import OutputFolder
from gplvm.cli._progress import Progress

_EXAMPLES = """\
  gplvm embed table.csv --labels species --standardize --output embedded
  gplvm embed expression.npz --model linear --n-components 5 --output embedded
  gplvm embed motion.csv --model bayesian --output embedded
  gplvm embed images --image-size 32 --kernel matern52 --output embedded
  gplvm embed large.npy --inducing 200 --output embedded
  cut -f 2- table.tsv | gplvm embed - --output embedded

It writes embedding.csv, latent.png, model.gplvm (for gplvm transform), of images
reconstructions.png, and of --model bayesian relevance.png: its dimensions come in the
order of their relevance, and those that the data do not need are switched off. A table
may have a header or none; columns of text are left out, and an empty field is a missing
value, which every GP-LVM accepts. An NPZ file holds the rows as X, data or images (or
as its only table) and labels as y or target.
"""
_MODELS = {
    "gplvm": "GP-LVM",
    "bayesian": "Bayesian GP-LVM",
    "linear": "linear GP-LVM",
    "autoencoder": "linear autoencoder",
}
_UNLIKE = 1e3  # ratio of variances from which the columns' units matter


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
        help="a .csv, .tsv, .txt, .npy or .npz file, a folder with one folder of "
        "images for each class, or - for CSV from standard input",
    )
    parser.add_argument(
        "--output", metavar="DIR", required=True, help="the folder to write"
    )
    parser.add_argument(
        "--model",
        choices=list(_MODELS),
        default="gplvm",
        help="the GP-LVM, which is non-linear (default), the Bayesian GP-LVM, which "
        "finds the number of dimensions, the linear GP-LVM, or the linear autoencoder",
    )
    parser.add_argument(
        "--kernel",
        choices=["rbf", "matern32", "matern52", "rational_quadratic"],
        help="of --model gplvm (default: rbf)",
    )
    parser.add_argument(
        "--inducing",
        type=_inducing,
        metavar="N|auto|none",
        help="inducing points of a GP-LVM: so many, as many as the size of the data "
        "asks for (auto, the default), or none, which is exact (not of bayesian)",
    )
    parser.add_argument(
        "--n-components",
        type=whole_number(1),
        metavar="N",
        help="dimensions of the embedding (default: 2; of --model bayesian, which "
        "switches some off, 10, or as many as columns)",
    )
    add_standardize(parser)
    add_labels(parser, "it colours the picture and is not embedded")
    add_image_size(parser)
    add_max_iter(parser, "the model's own")
    add_seed(parser)
    add_force(parser)


def _inducing(text):
    """The argument of --inducing, none being a word: None means not given."""
    if text.lower() in ("auto", "none"):
        return text.lower()
    try:
        return whole_number(1)(text)
    except argparse.ArgumentTypeError as error:
        raise argparse.ArgumentTypeError(f"{error}, auto or none") from None


def run(arguments):
    """Read, fit, write."""
    if arguments.kernel is not None and arguments.model != "gplvm":
        raise UserError(f"--kernel is for --model gplvm, not {arguments.model}")
    if arguments.inducing is not None and arguments.model == "autoencoder":
        raise UserError("--inducing is for a GP-LVM (--model), not autoencoder")
    if arguments.inducing == "none" and arguments.model == "bayesian":
        raise UserError("--model bayesian needs inducing points: --inducing auto or N")
    if arguments.n_components is None and arguments.model != "bayesian":
        arguments.n_components = 2
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
            _check_size(found, arguments)
            _check_missing(found, arguments.model)
            if not arguments.standardize:
                _note_scales(found)
            step.rename(f"Fitting {rows} x {columns}")
            model, data, whole = _fit(found, arguments, step)
        for note in found.notes:
            print(f"gplvm embed: note: {note}", file=sys.stderr)
        with progress.step("Writing"), data_errors(found.source):
            embedding = _embedding(model, data)
            if not np.all(np.isfinite(embedding)):
                raise ValueError("the embedding is not finite; scale the data")
            with open(folder / "embedding.csv", "wb") as stream:
                write_table(stream, model.get_feature_names_out(), embedding, found)
            from gplvm.plotting._sheets import plain_text

            with plain_text():
                _write_pictures(folder, model, data, embedding, found, arguments.model)
            write_model(folder / "model.gplvm", whole, found)
    for note in progress.notes:
        print(f"gplvm embed: note: {note}", file=sys.stderr)
    details = f"{model.n_iter_} iterations"
    if hasattr(model, "n_relevant_"):
        details = f"{model.n_relevant_} of them relevant, {details}"
    if hasattr(model, "inducing_points_"):
        details += f", {_count(len(model.inducing_points_), 'inducing point')}"
    print(
        f"{arguments.output}: {rows} rows of {columns} in "
        f"{_count(embedding.shape[1], 'dimension')} by the {_MODELS[arguments.model]}, "
        f"{details}"
    )


def _count(number, thing):
    return f"{number} {thing}{'s' * (number != 1)}"


def _check_size(found, arguments):
    rows, columns = found.data.shape
    if rows == 1:
        raise UserError(f"{found.source}: one row; an embedding needs at least two")
    if (arguments.n_components or 1) > min(rows, columns):
        raise UserError(
            f"{found.source}: {rows} rows of {_count(columns, 'column')} do not have "
            f"{_count(arguments.n_components, 'component')} (--n-components)"
        )
    if isinstance(arguments.inducing, int) and arguments.inducing > rows:
        raise UserError(
            f"{found.source}: {rows} rows are fewer than {arguments.inducing} inducing "
            "points (--inducing)"
        )


def _check_missing(found, model):
    """Note missing entries, or refuse them where the model or nobody can take them."""
    missing = np.isnan(found.data)
    number = np.count_nonzero(missing)
    if not number:
        return
    for axis, place, kind in ((1, found.row, "row"), (0, found.column, "column")):
        empty = np.flatnonzero(missing.all(axis=axis))
        if len(empty):
            raise UserError(
                f"{found.source}, {place(empty[0])}: no entry of this {kind} is a "
                "number; leave it out"
            )
    told = (
        f"{number} of {missing.size} entries {'is' if number == 1 else 'are'} missing"
    )
    if model == "autoencoder":
        raise UserError(
            f"{found.source}, {found.first(missing)}: {told}, the first here; the "
            "GP-LVMs (--model) accept missing entries, autoencoder does not"
        )
    found.notes.append(f"{told}; the model fits what is there")


def _note_scales(found):
    """Suggest --standardize for a table of columns in very different units."""
    if found.image_shape is not None:
        return
    with np.errstate(all="ignore"):  # an infinity is the estimator's to refuse
        variances = np.nanvar(found.data, axis=0)
        positive = variances[variances > 0]
        ratio = positive.max() / positive.min() if positive.size else 1.0
    if ratio > _UNLIKE:
        about = float(f"{ratio:.1g}")
        found.notes.append(
            f"the columns' variances differ by a factor of {about:,.0f}: the largest "
            "decide; --standardize gives all the same weight"
        )


def _fit(found, arguments, step):
    """The fitted model, the data that it was fitted to, and the whole pipeline."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = step.watch(_model(arguments))
    if arguments.standardize:
        found.check_scalable()
    try:
        if not arguments.standardize:
            return model.fit(found.data), found.data, model
        scaler = StandardScaler()
        data = scaler.fit_transform(found.data)
        return model.fit(data), data, make_pipeline(scaler, model)
    except ValueError as error:
        infinite = np.isinf(found.data)
        # The estimator's own words, and where in the user's file.
        where = f", {found.first(infinite)}" if infinite.any() else ""
        reason = str(error).splitlines()[0]
        raise UserError(f"{found.source}{where}: {reason}") from error
    except MemoryError as error:
        reason = str(error).split(". ")[0]
        raise UserError(
            f"{found.source}: {reason}; give --inducing auto or --model linear"
        ) from error


def _model(arguments):
    limit = {} if arguments.max_iter is None else {"max_iter": arguments.max_iter}
    if arguments.model == "autoencoder":
        from gplvm._autoencoder import LinearAutoencoder

        return LinearAutoencoder(
            arguments.n_components, random_state=arguments.seed, **limit
        )
    n_inducing = arguments.inducing or "auto"
    if arguments.model == "bayesian":
        from gplvm._bayesian_gplvm import BayesianGPLVM

        return BayesianGPLVM(
            arguments.n_components,
            n_inducing=None if n_inducing == "auto" else n_inducing,
            random_state=arguments.seed,
            **limit,
        )
    from gplvm._gplvm import GPLVM

    return GPLVM(
        arguments.n_components,
        kernel="linear" if arguments.model == "linear" else arguments.kernel or "rbf",
        n_inducing=None if n_inducing == "none" else n_inducing,
        random_state=arguments.seed,
        **limit,
    )


def _embedding(model, data):
    """Where the model put the rows that it was fitted to."""
    if hasattr(model, "embedding_"):
        return model.embedding_
    return model.transform(data)


def _write_pictures(folder, model, data, embedding, found, name):
    from gplvm.plotting import (
        LatentSpaceDisplay,
        ReconstructionDisplay,
        RelevanceDisplay,
    )
    from gplvm.plotting._sheets import save_figure

    images = None
    if found.image_shape is not None:
        images = found.data.reshape(-1, *found.image_shape)
    display = LatentSpaceDisplay.from_estimator(
        model, data, found.labels, images=images
    )
    save_figure(display.figure_, folder / "latent.png")
    if hasattr(model, "relevance_"):
        display = RelevanceDisplay.from_estimator(model)
        save_figure(display.figure_, folder / "relevance.png")
    if images is None:
        return
    display = ReconstructionDisplay.from_estimators(
        {_MODELS[name]: model}, data, image_shape=found.image_shape
    )
    save_figure(display.figure_, folder / "reconstructions.png")
