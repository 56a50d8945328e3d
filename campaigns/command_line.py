"""Damaged and odd files given to the command: it works, or says why not in one line.

``python campaigns/command_line.py --cases 2000 --seed 1`` runs as many as one likes; a
short part of it is among the tests. What may happen: status 0, every output is there
and finite; or status 2, one line on standard error, and no output. Anything else is a
failure, and so is a case that takes longer than a minute.
"""

import argparse
import contextlib
import csv
import io
import random
import shutil
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from gplvm.cli import main as gplvm_main

_LONGEST = 60.0  # seconds
_CELLS = ["", "nan", "NA", "inf", "-1e400", "1e400", "1,5", "1_0", "x", "1e-320"]
_CELLS += ["0x1f", "--3", "1e5e5", "\ufeff", "'", '"', '"a\nb"', "é", "\u0663", "1 2"]
_CELLS += ["$\\frac{$", "9" * 400, "z" * 300, "\x07", "=1+1", "\u202e", "-0", "1d5"]
_NUMBERS = [b"\0", b"\r", b"\n", b",", b";", b"\t", b'"', b"\xff", b"\xef\xbb\xbf"]
_VALUES = [np.nan, np.inf, -np.inf, 1e308, -1e308, 1e-320, 0.0, 1e150, -1.0]
_DTYPES = ["f2", "f4", ">f8", "i1", "u8", "?", "c8", "U3", "S3", "M8[s]", "O", "f4,i4"]
_SHAPES = ["(10000000000, 4)", "(4294967296, 4294967296)", "(-1, 4)", "(12, 4, 5, 6)"]
_SHAPES += ["(0, 4)", "(12,)", "(True, 48)", "(1.0, 48)", "()", "(48, 1)", "'x'"]


class Bench:
    """A folder of sound files and models, from which the cases are made.

    Parameters
    ----------
    folder : path-like
        An empty folder.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        rng = np.random.default_rng(0)
        X = rng.normal(size=(12, 4)).round(3) + np.arange(12)[:, None] % 2 * 3
        y = np.array(["dog", "cat"] * 6)
        rows = [["a", "b", "c", "d", "kind"]]
        rows += [[*map(str, x), name] for x, name in zip(X.tolist(), y, strict=True)]
        self.tables = [rows, rows, [row[:4] for row in rows]]
        self.tables += [[row[:4] for row in rows[1:]]]
        self.X, self.y = X, y
        self.images = self.folder / "images"
        for i, (shade, name) in enumerate(zip(rng.random((12, 8, 8)), y, strict=True)):
            (self.images / name).mkdir(parents=True, exist_ok=True)
            image = Image.fromarray((shade * 255).astype(np.uint8))
            image.save(
                self.images / name / f"{i}.{('png', 'jpg', 'gif', 'tif')[i % 4]}"
            )
        self._fit_models()

    def _fit_models(self):
        source = self.folder / "sound.csv"
        source.write_bytes(_csv(self.tables[0], random.Random(0), plain=True))
        self.models = []
        for i, options in enumerate(
            [
                ("embed", "--model", "autoencoder"),
                ("embed", "--model", "linear", "--standardize"),
                ("embed", "--max-iter", "3"),
                ("classify", "--labels", "kind", "--max-iter", "3", "--hidden", "3"),
            ]
        ):
            output = self.folder / f"fitted{i}"
            command, *options = options
            status, told = _call([command, source, "--output", output, *options])
            assert status == 0, told
            self.models.append(output / "model.gplvm")
        source.unlink()


def make_case(bench, rng, folder):
    """Arguments of the command, what it reads from standard input, and its output."""
    model = rng.choice(bench.models)
    stdin = None
    kind = rng.choice(["csv", "csv", "npy", "npz", "images", "model", "stdin"])
    if kind == "images":
        source = folder / "images"
        shutil.copytree(bench.images, source)
        _spoil_images(source, rng)
    elif kind == "npy":
        source = folder / "x.npy"
        source.write_bytes(_spoilt_npy(bench.X, rng))
    elif kind == "npz":
        source = folder / "x.npz"
        source.write_bytes(_spoilt_npz(bench, rng))
    else:
        source = folder / rng.choice(["x.csv", "ü x.tsv", "x.txt"])
        content = _spoilt_table(rng.choice(bench.tables), rng)
        if kind == "model":
            damaged = bytearray(model.read_bytes())
            model = folder / "model.gplvm"
            model.write_bytes(_spoilt_bytes(damaged, rng))
        if kind == "stdin":
            source, stdin = "-", content
        else:
            source.write_bytes(content)
    output = folder / "out put"
    commands = ["embed", "classify"]
    commands += rng.choice([["transform", "predict"] * 3, []])
    command = rng.choice(commands if kind != "images" else commands[:2])
    if command == "predict" and rng.random() < 0.9 and kind != "model":
        model = bench.models[3]
    if command in ("embed", "classify"):
        arguments = [command, source, "--output", output, "--max-iter", "3"]
        if command == "embed":
            names = ["autoencoder", "linear", "gplvm", "bayesian"]
            arguments += ["--model", rng.choice(names)]
        arguments += rng.choice([[], ["--standardize"]])
    else:
        arguments = [command, model, source, "--output", output]
        if command == "transform":
            arguments += rng.choice([[], [], [], ["--std"], ["--inverse"]])
        else:
            arguments += rng.choice([[], ["--proba"]])
    labels = "y" if kind == "npz" else "kind"
    if rng.random() < 0.1:
        labels = rng.choice(["kind", "y", "5", "no", "0", "1" * 400])
    if kind not in ("images", "npy") and rng.random() < 0.7:
        arguments += ["--labels", labels]
    if (kind == "images" and rng.random() < 0.7) or rng.random() < 0.05:
        arguments += ["--image-size", "4"]
    return arguments, stdin, output


def _csv(rows, rng, plain=False):
    delimiter = "," if plain else rng.choice([",", ",", ";", "\t", " "])
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerows(rows)
    text = text.getvalue()
    if not plain:
        text = text.replace("\n", rng.choice(["\n", "\n", "\r\n", "\r", "\n\n"]))
    return text.encode("utf-8" if plain else rng.choice(["utf-8"] * 4 + ["utf-16"]))


def _spoilt_table(rows, rng):
    rows = [list(row) for row in rows]
    for _ in range(rng.choice([0, 1, 1, 3])):
        row, kind = rng.choice(rows), rng.randrange(7)
        if kind < 3 and row:
            row[rng.randrange(len(row))] = rng.choice(_CELLS)
        elif kind == 3:
            row.append(rng.choice(_CELLS))
        elif kind == 4 and row:
            row.pop()
        elif kind == 5:
            rows[:] = rows[: rng.choice([1, 2, 3])]
        else:
            column, cell = rng.randrange(4), rng.choice(_CELLS)
            for row in rows:
                if column < len(row):
                    row[column] = cell
    content = bytearray(_csv(rows, rng))
    return _spoilt_bytes(content, rng) if rng.random() < 0.3 else bytes(content)


def _spoilt_bytes(content, rng):
    for _ in range(rng.choice([1, 1, 4])):
        at, kind = rng.randrange(len(content) + 1), rng.randrange(5)
        if kind == 0:
            content[at:at] = rng.choice(_NUMBERS)
        elif kind == 1:
            content[at : at + 1] = rng.randbytes(1)
        elif kind == 2:
            del content[at:]
        elif kind == 3:
            del content[at : at + rng.randrange(1, 40)]
        else:
            content[at:at] = content[at : at + rng.randrange(1, 200)]
    return bytes(content)


def _spoilt_npy(array, rng):
    array = np.array(array)
    kind = rng.randrange(6)
    if kind == 0:
        array.flat[rng.randrange(array.size)] = rng.choice(_VALUES)
    elif kind == 1:
        name = rng.choice(_DTYPES)
        with np.errstate(all="ignore"):
            array = (
                np.zeros(array.shape, name) if "," in name else array.astype("i8")
            ).astype(np.dtype(name))
    elif kind == 2:
        shapes = [(48,), (2, 24), (3, 4, 4), (1, 48), (4, 4, 1, 3), (2, 2, 2, 6)]
        array = array.reshape(rng.choice(shapes))
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    content = stream.getvalue()
    if kind == 3:
        shape = str(array.shape).encode()
        header = content[: len(content) - array.nbytes]
        lie = header.replace(shape, rng.choice(_SHAPES).encode())
        lie = lie[:10] + lie[10:].rstrip().ljust(len(header) - 11) + b"\n"
        content = lie[:8] + (len(lie) - 10).to_bytes(2, "little") + lie[10:]
        content += array.tobytes()
    if kind == 4:
        content = _spoilt_bytes(bytearray(content), rng)
    return content


def _spoilt_npz(bench, rng):
    """An archive with odd names, arrays or sizes, or damaged as a whole."""
    stream = io.BytesIO()
    how = rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
    label = rng.choice([bench.y, np.arange(12) % 2, bench.y[:5], bench.X])
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w", how) as archive:
        warnings.simplefilter("ignore")  # duplicate names
        for name, array in (
            (rng.choice(["X", "data", "../X", "/X", "a\nb", "n" * 999]), bench.X),
            (rng.choice(["y", "kind", "X", "target"]), label),
            (rng.choice(["target_names", "other"]), rng.choice([bench.y, bench.X])),
        ):
            archive.writestr(f"{name}.npy", _spoilt_npy_or_not(array, rng))
        if rng.random() < 0.2:
            archive.writestr("X.npy", bytes(10**6))
    content = bytearray(stream.getvalue())
    if rng.random() < 0.2:  # the sizes in the directory
        at = content.rfind(b"PK\x01\x02")
        content[at + 20 : at + 28] = rng.randbytes(8)
    return _spoilt_bytes(content, rng) if rng.random() < 0.2 else bytes(content)


def _spoilt_npy_or_not(array, rng):
    if array.dtype.kind == "f" and rng.random() < 0.5:
        return _spoilt_npy(array, rng)
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def _spoil_images(source, rng):
    files = sorted(source.rglob("*.*"))
    file, kind = rng.choice(files), rng.randrange(12)
    if kind <= 4:
        file.write_bytes(_spoilt_bytes(bytearray(file.read_bytes()), rng))
    elif kind == 5:
        file.write_bytes(b"")
    elif kind == 6:
        file.rename(file.with_suffix(rng.choice([".png", ".webp", ".txt", ".bmp"])))
    elif kind == 7:
        mode = rng.choice(["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "F"])
        size = rng.choice([(8, 8), (8, 8), (9, 8), (1, 1), (300, 2)])
        Image.new(mode, size).save(file.with_suffix(".tif"))
    elif kind == 8:
        (file.parent / "link.png").symlink_to(rng.choice([file, "..", "/etc/passwd"]))
    elif kind == 9:
        (source / rng.choice(["empty", ".hidden", "$\\frac{$"])).mkdir()
    elif kind == 10:
        shutil.copytree(source / "cat", source / rng.choice(["$\\frac{$", "ü x", "猫"]))
    else:
        shutil.rmtree(source / "cat")


def run_case(bench, seed):
    """Run one case: what came of it, and what was said."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        arguments, stdin, output = make_case(bench, rng, Path(folder))
        start = time.perf_counter()
        status, told = _call(arguments, stdin)
        seconds = time.perf_counter() - start
        what = _judged(arguments[0], status, told, output)
    if seconds > _LONGEST:
        what = f"FAILED: {seconds:.0f} s"
    return what, " ".join(map(str, arguments)), told


def _call(arguments, stdin=None):
    """Status, or the exception that came out, and standard error."""
    err = io.StringIO()
    given = io.TextIOWrapper(io.BytesIO(stdin or b""))
    with (
        contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
        _stdin(given),
    ):
        warnings.simplefilter("default")
        try:
            status = gplvm_main([str(argument) for argument in arguments])
        except Exception as error:
            status = error
    return status, err.getvalue()


@contextlib.contextmanager
def _stdin(stream):
    import sys

    before, sys.stdin = sys.stdin, stream
    try:
        yield
    finally:
        sys.stdin = before


def _judged(command, status, told, output):
    if status == 2:
        if told.count("\n") != 1 or ": error: " not in told:
            return "FAILED: status 2, not one line"
        return "FAILED: status 2 and an output" if output.exists() else "refused"
    if status != 0:
        return f"FAILED: {status!r}"
    tables = {"embed": "embedding.csv", "classify": "predictions.csv"}
    others = {"embed": ["latent.png"], "classify": ["confusion.png", "loss-curve.png"]}
    table = output / tables[command] if command in tables else output
    files = [table]
    if command in others:
        files += [output / name for name in [*others[command], "model.gplvm"]]
    if not all(file.is_file() and file.stat().st_size for file in files):
        return "FAILED: status 0, and an output is missing"
    with open(table, encoding="utf-8", newline="") as stream:
        names, *rows = csv.reader(stream)
    text = {"label", "filename", "predicted"}
    numbers = [j for j, name in enumerate(names) if name not in text]
    finite = all(np.isfinite(float(row[j])) for row in rows for j in numbers)
    return "done" if rows and finite else "FAILED: status 0, and not finite"


def run(n_cases, seed, folder):
    """Count what came of so many cases, and list the failures."""
    bench, counts, failures = Bench(folder), {}, []
    for case in range(n_cases):
        what, arguments, told = run_case(bench, f"{seed}-{case}")
        counts[what] = counts.get(what, 0) + 1
        if what.startswith("FAILED"):
            failures.append(f"{seed}-{case} {what}\n  {arguments}\n  {told[-600:]}")
    return counts, failures


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, failures = run(options.cases, options.seed, folder)
    print(*failures, sep="\n")
    for what, count in sorted(counts.items()):
        print(what, count)
    return bool(failures)


if __name__ == "__main__":
    raise SystemExit(main())
