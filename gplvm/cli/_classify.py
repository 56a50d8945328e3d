"""`gplvm classify`: a swish network that learns the labels of rows or images."""

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
  gplvm classify images --output classified
  gplvm classify images --image-size 28 --max-parameters 5000 --output small
  gplvm classify table.csv --labels species --standardize --output classified
  gplvm predict classified/model.gplvm new-images

A share of the rows is held out, to tell how well the network does on rows that it has
not seen. It writes model.gplvm (for gplvm predict and gplvm transform), predictions.csv
of the held-out rows, confusion.png and loss-curve.png.
"""


def add_to(commands):
    """Add this command's arguments."""
    parser = add_command(
        commands,
        "classify",
        run,
        summary="train a swish network to name the classes of rows or images",
        examples=_EXAMPLES,
    )
    parser.add_argument(
        "input",
        metavar="INPUT",
        help="a .csv, .tsv, .txt or .npz file with labels, a folder with one folder of "
        "images for each class, or - for CSV from standard input",
    )
    parser.add_argument(
        "--output", metavar="DIR", required=True, help="the folder to write"
    )
    add_labels(parser, "a table needs it, unless an NPZ has y or target")
    add_image_size(parser)
    add_standardize(parser)
    parser.add_argument(
        "--max-parameters",
        type=whole_number(1),
        metavar="N",
        help="the budget of weights and biases; sets the hidden layer's size",
    )
    parser.add_argument(
        "--hidden",
        type=whole_number(1),
        metavar="N",
        help="hidden units (default: 64, or what the budget allows)",
    )
    parser.add_argument(
        "--held-out",
        type=_share,
        default=0.25,
        metavar="SHARE",
        help="share of the rows that is held out (default: 0.25)",
    )
    add_max_iter(parser, "the network's own")
    add_seed(parser)
    add_force(parser)


def _share(text):
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0.0 < share < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return share


def run(arguments):
    """Read, train, test, write."""
    progress = Progress(2)
    with OutputFolder(arguments.output, arguments.force) as folder:
        with progress.step("Reading") as step:
            found = read_input(
                arguments.input,
                labels=arguments.labels,
                image_size=arguments.image_size,
            )
            train, test = _split(found, arguments)
            step.rename(f"Training on {len(train)} x {found.data.shape[1]}")
            network, model = _fit(found, train, arguments, step)
            with data_errors(found.source):
                predicted = model.predict(found.data[test])
            right = np.mean(predicted == found.labels[test])
            step.remark = f"held-out accuracy {right:.3f}"
        for note in found.notes:
            print(f"gplvm classify: note: {note}", file=sys.stderr)
        with progress.step("Writing"), data_errors(found.source):
            proba = model.predict_proba(found.data[test])
            _write(folder, found, test, predicted, proba, network)
            write_model(folder / "model.gplvm", model, found)
    for note in progress.notes:
        print(f"gplvm classify: note: {note}", file=sys.stderr)
    print(
        f"{arguments.output}: {network.coefs_[0].shape[1]} hidden units, "
        f"{network.n_parameters_} parameters, {len(network.classes_)} classes; "
        f"{right:.1%} of {len(test)} held-out rows right"
    )


def _split(found, arguments):
    """Rows to train on and rows to test on, each with its share of every class."""
    from sklearn.model_selection import train_test_split

    if found.labels is None:
        raise UserError(f"{found.source}: no labels; name their column with --labels")
    names, counts = np.unique(found.labels, return_counts=True)
    if len(names) < 2:
        raise UserError(f"{found.source}: one class only, {names[0]!r}; two are needed")
    if counts.min() < 2:
        rare = names[counts.argmin()]
        raise UserError(
            f"{found.source}: class {rare!r} has one row; one to train on and one to "
            "test on are needed"
        )
    if np.isnan(found.data).any():
        raise UserError(
            f"{found.source}, {found.first(np.isnan(found.data))}: a missing entry, "
            "which the network does not accept; gplvm embed does"
        )
    infinite = np.isinf(found.data)
    if infinite.any():  # also where it would be held out
        raise UserError(f"{found.source}, {found.first(infinite)}: an infinite entry")
    try:
        return train_test_split(
            np.arange(len(found.data)),
            test_size=arguments.held_out,
            stratify=found.labels,
            random_state=arguments.seed,
        )
    except ValueError as error:  # fewer rows than classes on one side
        raise UserError(f"{found.source}: {error}") from error


def _fit(found, train, arguments, step):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from gplvm._swish_classifier import SwishMLPClassifier

    limit = {} if arguments.max_iter is None else {"max_iter": arguments.max_iter}
    network = SwishMLPClassifier(
        arguments.hidden,
        max_parameters=arguments.max_parameters,
        random_state=arguments.seed,
        **limit,
    )
    model = network
    if arguments.standardize:
        found.check_scalable()
        model = make_pipeline(StandardScaler(), network)
    step.watch(network)
    try:
        model.fit(found.data[train], found.labels[train])
    except ValueError as error:
        bad = ~np.isfinite(found.data)
        where = f", {found.first(bad)}" if bad.any() else ""
        reason = str(error).splitlines()[0]
        raise UserError(f"{found.source}{where}: {reason}") from error
    return network, model


def _write(folder, found, test, predicted, proba, network):
    from gplvm.plotting import LossCurveDisplay
    from gplvm.plotting._sheets import confusion_matrix, plain_text, save_figure

    names = [str(name) for name in network.classes_]
    columns = ["predicted", *(f"p({name})" for name in names)]
    values = np.hstack([predicted.astype(object)[:, None], proba])
    with open(folder / "predictions.csv", "wb") as stream:
        write_table(stream, columns, values, found.rows(test))
    codes = {name: code for code, name in enumerate(network.classes_)}
    with plain_text():
        figure = confusion_matrix(
            np.array([codes[label] for label in found.labels[test]]),
            np.array([codes[label] for label in predicted]),
            names,
        )
        save_figure(figure, folder / "confusion.png")
    display = LossCurveDisplay.from_estimators({"Swish network": network})
    save_figure(display.figure_, folder / "loss-curve.png")
