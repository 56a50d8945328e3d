"""`gplvm transform` and `gplvm predict`: a model of a file on new rows."""

import os
import re
import sys
import warnings

import numpy as np

from gplvm.cli._arguments import (
    add_command,
    add_image_size,
    add_labels,
)
from gplvm.cli._errors import UserError
from gplvm.cli._inputs import read_input
from gplvm.cli._models import fitting_columns, read_model, write_table

_ROWS = 4096  # to ask a model about at a time: it takes some kilobytes for each

_TRANSFORM = """\
  gplvm transform embedded/model.gplvm new.csv
  gplvm transform embedded/model.gplvm new.csv --std --output positions.csv
  gplvm transform embedded/model.gplvm positions.csv --inverse > reconstructed.csv
  cat new.csv | gplvm transform embedded/model.gplvm - | head

MODEL is what gplvm embed or gplvm classify wrote, or gplvm.save. The columns of a
table with a header are found by their names; others must be as many as the model was
fitted to. Of a classifier, the result is its hidden layer.
"""
_PREDICT = """\
  gplvm predict classified/model.gplvm new-images
  gplvm predict classified/model.gplvm new.csv --proba --output predictions.csv

MODEL is what gplvm classify wrote.
"""


def add_to(commands):
    """Add these commands' arguments."""
    parser = add_command(
        commands,
        "transform",
        run_transform,
        summary="place new rows by a model that is on the disk",
        examples=_TRANSFORM,
    )
    _add_shared(parser)
    parser.add_argument(
        "--std",
        action="store_true",
        help="the standard deviations too, of a Gaussian-process model",
    )
    parser.add_argument(
        "--inverse",
        action="store_true",
        help="INPUT has latent positions: write the rows that belong there",
    )
    parser = add_command(
        commands,
        "predict",
        run_predict,
        summary="name the classes of new rows by a classifier that is on the disk",
        examples=_PREDICT,
    )
    _add_shared(parser)
    parser.add_argument(
        "--proba", action="store_true", help="the probability of every class too"
    )


def _add_shared(parser):
    parser.add_argument("model", metavar="MODEL", help="a model file")
    parser.add_argument(
        "input",
        metavar="INPUT",
        help="a .csv, .tsv, .txt, .npy or .npz file, a folder with one folder of "
        "images for each class, or - for CSV from standard input",
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        default="-",
        help="the CSV file to write; - (default) is standard output",
    )
    add_labels(parser, "it is copied to the output")
    add_image_size(parser)
    parser.add_argument(
        "--force", action="store_true", help="replace the file if it exists"
    )


def run_transform(arguments):
    """Read model and rows, transform, write."""
    model, found = _read(arguments)
    names = list(model.get_feature_names_out())
    if arguments.inverse:
        if not hasattr(model, "inverse_transform"):
            raise UserError(
                f"{arguments.model}: a classifier cannot go back to the data"
            )
        data = fitting_columns(model, found, names)
        names = _data_names(model)
        method = "inverse_transform"
    else:
        data, method = fitting_columns(model, found), "transform"
    values = _called(model, method, data, arguments, found)
    if arguments.std:
        values, std = values
        values = np.hstack([values, std])
        names = [*names, *(f"{name}_std" for name in names)]
    _write(arguments, names, values, found)


def run_predict(arguments):
    """Read classifier and rows, predict, write."""
    model, found = _read(arguments)
    if not hasattr(model, "predict"):
        raise UserError(
            f"{arguments.model}: a {type(model).__name__}, which is no classifier"
        )
    data = fitting_columns(model, found)
    values = _called(model, "predict", data, arguments, found).astype(str)[:, None]
    values, names = values.astype(object), ["predicted"]
    if arguments.proba:
        proba = _called(model, "predict_proba", data, arguments, found)
        values = np.hstack([values, proba])
        names += [f"p({name})" for name in model.classes_]
    _write(arguments, names, values, found)


def _read(arguments):
    output = arguments.output
    if output == "-" and getattr(sys.stdout, "name", None) == os.devnull:  # closed
        raise UserError("-: there is no standard output")
    # What is no file, such as a pipe, holds nothing that could be lost.
    if output != "-" and os.path.isfile(output) and not arguments.force:
        raise UserError(
            f"{output} exists; name another file, or let --force replace it"
        )
    model = read_model(arguments.model)
    if not hasattr(model, "n_features_in_"):
        raise UserError(f"{arguments.model}: this model was never fitted")
    found = read_input(
        arguments.input, labels=arguments.labels, image_size=arguments.image_size
    )
    return model, found


def _called(model, method, data, arguments, found):
    """What the model says of the data, its complaint being one line."""
    options = {"return_std": True} if getattr(arguments, "std", False) else {}
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    if options:
        if not hasattr(last, "score_samples"):
            raise UserError(
                f"{arguments.model}: a {type(last).__name__} knows no standard "
                "deviations (--std)"
            )
        if method == "inverse_transform" and last is not model:
            raise UserError(
                f"{arguments.model}: no standard deviations (--std) of data that were "
                "standardized"
            )

    def ask(rows):
        if options and last is not model:
            return last.transform(model[:-1].transform(rows), **options)
        return getattr(model, method)(rows, **options)

    answers = []
    for start in range(0, len(data), _ROWS):
        rows = slice(start, start + _ROWS)
        try:
            with warnings.catch_warnings():
                # The columns were matched by name already.
                warnings.filterwarnings("ignore", "X does not have valid feature names")
                answers.append(ask(data[rows]))
            if method != "predict" and not np.all(np.isfinite(answers[-1])):
                raise ValueError("the result is not finite; scale the data")
        except ValueError as error:
            raise UserError(
                f"{found.source}{_place(error, data, rows, found)}"
            ) from error
    if isinstance(answers[0], tuple):
        return [np.concatenate(parts) for parts in zip(*answers, strict=True)]
    return np.concatenate(answers)


def _place(error, data, rows, found):
    """The model's complaint, and which of the user's rows it is about, if known."""
    reason = str(error).splitlines()[0]
    number = re.match(r"row (\d+) of X ", reason)
    if number is not None:
        row = found.row(rows.start + int(number[1]))
        return f", {row}: it {reason[number.end() :]}"
    bad = ~np.isfinite(data)
    if bad[rows].any() and bad.shape == found.data.shape:
        return f", {found.first(bad)}: {reason}"
    return f": {reason}"


def _data_names(model):
    names = getattr(model, "feature_names_in_", None)
    if names is not None:
        return list(names)
    return [f"x{i}" for i in range(model.n_features_in_)]


def _write(arguments, names, values, found):
    if arguments.output == "-":
        write_table(sys.stdout.buffer, names, values, found)
        return
    from gplvm._files import replacing

    try:
        with replacing(arguments.output) as stream:
            write_table(stream, names, values, found)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise UserError(f"{arguments.output}: {error.strerror or error}") from error
