"""The Bayesian GP-LVM's value and gradient, beside its floor and other packages."""

import time

import numpy as np
from _peers import Peer, find
from _report import Table, at_least, at_most, in_words, milliseconds
from _timing import blas_threads, peak_bytes, race, ratio, timed
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from gplvm import _bayesian
from gplvm._bayesian import BayesianLikelihood
from gplvm._parallel import block_map, row_blocks
from gplvm.kernels._thin import in_lines, multiply_columns, multiply_rows, whole_lines

HEADING = "Bayesian GP-LVM: value and full gradient with the RBF-ARD kernel"
THREADS = (1, 2)
SIGNAL, NOISE, LENGTH_SCALE = 1.0, 0.1, 2.0
TARGET_FLOOR, TARGET_PEERS = 1.5, 8.0
FLOOR_ROWS, TILE_ROWS, FLOOR_SPANS = 250, 128, 16
LEAD = 6  # evaluations before each that counts, as an optimisation has them


def _in_lines(array):
    """The same rows, each of which begins with a cache line, and zeros after them."""
    lines = in_lines(len(array), whole_lines(array.shape[1]))
    lines[:, : array.shape[1]] = array
    lines[:, array.shape[1] :] = 0.0
    return lines


class Problem:
    """An evaluation at given parameters, and the least that it has to compute."""

    def __init__(self, n, m, q, d):
        rng = np.random.default_rng(0)
        self.arguments = {
            "embedding": rng.normal(size=(n, q)),
            "embedding_std": rng.uniform(0.1, 0.5, size=(n, q)),
            "inducing_points": rng.normal(size=(m, q)),
        }
        self.Y = rng.normal(size=(n, d))
        self.Y -= self.Y.mean(axis=0)
        self.kernel = ConstantKernel(SIGNAL) * RBF(np.full(q, LENGTH_SCALE))
        self._theta = np.append(self.kernel.theta, np.log(NOISE))
        start = time.perf_counter()
        self._likelihood = BayesianLikelihood(self.kernel, self.Y)
        self.set_up = time.perf_counter() - start
        # The floor's operands: any numbers of the right shapes, exponents below zero.
        pairs = m * (m + 1) // 2
        self._left = -0.3 * rng.random((n, 2 * q))
        self._right = 0.3 * rng.random((pairs, 2 * q))
        self._products = np.empty((FLOOR_SPANS, min(n, FLOOR_ROWS), pairs))
        width = whole_lines(pairs)
        self._pieces = [in_lines(TILE_ROWS, width) for _ in range(FLOOR_SPANS)]
        self._of_rows = np.empty((n, 2 * q))
        self._of_pairs = np.empty((FLOOR_SPANS, pairs, 2 * q))

    def evaluate(self):
        """The bound and its gradient for all its parameters."""
        return self._likelihood.elbo(
            **self.arguments, theta=self._theta, eval_gradient=True
        )

    def floor(self):
        """The exponentials in place and their three products, chunk by chunk."""
        n = len(self._left)
        chunks = row_blocks(n, FLOOR_ROWS)
        spans = [chunks[i::FLOOR_SPANS] for i in range(min(FLOOR_SPANS, len(chunks)))]

        def work(i):
            for rows in spans[i]:
                products = self._products[i, : rows.stop - rows.start]
                np.matmul(self._left[rows], self._right.T, out=products)
                np.exp(products, out=products)
                np.matmul(products, self._right, out=self._of_rows[rows])
                np.matmul(products.T, self._left[rows], out=self._of_pairs[i])

        with block_map(len(spans)) as map_spans:
            map_spans(work, range(len(spans)))

    def floor_in_pieces(self):
        """The same in tiles, lines and pieces that BLAS multiplies fastest."""
        tiles = row_blocks(len(self._left), TILE_ROWS)
        spans = [tiles[i::FLOOR_SPANS] for i in range(min(FLOOR_SPANS, len(tiles)))]
        columns, pairs = self._left.T.copy(), len(self._right)
        across = _in_lines(self._right.T)
        right = _in_lines(self._right)[:, : self._right.shape[1]]

        def work(i):
            for rows in spans[i]:
                products = self._pieces[i][: rows.stop - rows.start]
                multiply_rows(self._left[rows], across, products)
                np.exp(products, out=products)
                products = products[:, :pairs]
                multiply_rows(products, right, self._of_rows[rows])
                multiply_columns(columns[:, rows], products)

        with block_map(len(spans)) as map_spans:
            map_spans(work, range(len(spans)))

    def contenders(self):
        return {
            "gplvm": timed(self.evaluate),
            "floor": timed(self.floor),
            "in pieces": timed(self.floor_in_pieces),
        }

    def memory(self):
        """Peak memory of an evaluation beyond its result's size, in MiB."""
        arrays = [a for n, a in self.arguments.items() if n != "inducing_points"]
        return (peak_bytes(self.evaluate) - sum(a.nbytes for a in arrays)) / 2**20


def run(options):
    n, m, q = (200, 15, 4) if options.quick else (1000, 50, 10)
    sizes = (200, 400) if options.quick else (1000, 4000, 16_000, 100_000)
    widths = (12, 200, 2000) if options.quick else (12, 1000, 20_000)
    tables = [
        _beside_floor(n, m, q, options),
        _growth(sizes, m, q, options),
        _features(n, m, q, widths, options),
        _beside_peers(n, m, q, options),
    ]
    return [table for table in tables if table.rows]


def _beside_floor(n, m, q, options):
    table = Table(
        f"N = {n}, M = {m}, Q = {q}, D = 12",
        [
            "threads",
            "gplvm, ms",
            "floor, ms",
            "gplvm / floor",
            "target <= 1.5",
            "floor in pieces, ms",
            "gplvm / floor in pieces",
        ],
        """One evaluation of the collapsed bound and of its gradient for means and
        deviations of all positions, the inducing inputs, signal, length scales and
        noise. The floor has as many exponentials as psi2 has entries, N M (M + 1) / 2,
        in place in memory that is there already, and the three matrix products with
        them (the exponents, and the gradients for rows and for pairs of inducing
        inputs), in chunks of 250 rows on the same number of threads; each is a
        function of other numbers than ours, since the second pass of an evaluation
        needs what follows from the whole of the first. "In pieces" it multiplies as we
        do, in pieces that OpenBLAS does not copy first and in rows that begin with
        cache lines, and is the least time known for that work. Each is run six times
        before the run that counts, as in an optimisation.""",
    )
    problem = Problem(n, m, q, 12)
    for threads in THREADS:
        with blas_threads(threads):
            seconds = race(problem.contenders(), 4 * options.repeats, 3, lead=LEAD)
        relative = ratio(seconds["gplvm"], seconds["floor"])
        table.rows.append(
            [
                threads,
                milliseconds(seconds["gplvm"]),
                milliseconds(seconds["floor"]),
                in_words(relative),
                at_most(relative, TARGET_FLOOR),
                milliseconds(seconds["in pieces"]),
                in_words(ratio(seconds["gplvm"], seconds["in pieces"])),
            ]
        )
    return table


def _growth(sizes, m, q, options):
    table = Table(
        f"Growth with N, M = {m}, Q = {q}, D = 12, as many threads as BLAS takes",
        [
            "N",
            "gplvm, ms",
            "per row, us",
            "time, power of N",
            "gplvm / floor",
            "memory, MiB",
        ],
        """The power of N is between this row and the one above; 1 is linear. Psi2 of
        the first rows, up to 64 MiB, is kept for the gradient, and that of the others
        is computed twice, which the floor does not do. Memory is the peak of the
        arrays of the call beyond as much as the gradients of the positions take; the
        64 MiB that wait from call to call stand beside it.""",
    )
    before = None
    for n in sizes:
        problem = Problem(n, m, q, 12)
        repeats = max(3, min(options.repeats, 200_000 // n))
        problem_memory = problem.memory()
        seconds = race(problem.contenders(), repeats)
        median = np.median(seconds["gplvm"])
        power = "-"
        if before is not None:
            power = f"{np.log(median / before[1]) / np.log(n / before[0]):.2f}"
        before = n, median
        table.rows.append(
            [
                n,
                milliseconds(seconds["gplvm"]),
                f"{1e6 * median / n:.1f}",
                power,
                in_words(ratio(seconds["gplvm"], seconds["floor"])),
                f"{problem_memory:.0f}",
            ]
        )
    return table


def _features(n, m, q, widths, options):
    table = Table(
        f"Growth with D, N = {n}, M = {m}, Q = {q}",
        ["D", "gplvm, ms", "time / time at D = N", "set up once, ms"],
        """Beyond as many features as rows, the data enter through an N x N factor that
        is made once.""",
    )
    problems = {d: Problem(n, m, q, d) for d in widths}
    seconds = race({d: timed(p.evaluate) for d, p in problems.items()}, options.repeats)
    for d, problem in problems.items():
        table.rows.append(
            [
                d,
                milliseconds(seconds[d]),
                in_words(ratio(seconds[d], seconds[widths[1]])),
                f"{1e3 * problem.set_up:.0f}",
            ]
        )
    return table


def _beside_peers(n, m, q, options):
    table = Table(
        f"Beside other packages, N = {n}, M = {m}, Q = {q}, D = 12",
        [
            "package",
            "its threads",
            "gplvm, ms",
            "package, ms",
            "package / gplvm",
            "target",
            "relative difference of the values",
        ],
        """gplvm has two threads in every row, each package one and two: its better row
        counts. Each runs in its own process, in turns with gplvm, through the function
        that its own optimiser calls, at the same parameters and with gplvm's jitter in
        the inducing inputs' covariance, so that the values are of the same function;
        each is run six times before the run that counts, as in an optimisation.
        Start-up and compilation are not counted.""",
    )
    problem = Problem(n, m, q, 12)
    value = problem.evaluate()[0]
    data = problem.arguments | {"Y": problem.Y, "signal": SIGNAL, "noise": NOISE}
    data |= {"length_scale": np.full(q, LENGTH_SCALE), "jitter": _bayesian.JITTER}
    for name, module in (("GPy", "GPy"), ("GPflow", "gpflow")):
        python = find(module, options.pythons)
        for threads in THREADS if python else ():
            with (
                blas_threads(max(THREADS)),
                Peer(python, f"{name} Bayesian", threads, **data) as peer,
            ):
                seconds = race(
                    {"gplvm": timed(problem.evaluate), name: peer},
                    max(5, options.repeats),
                    2,
                    lead=LEAD,
                )
                difference = abs(peer.value - value) / abs(value)
                table.versions |= peer.versions
            relative = ratio(seconds[name], seconds["gplvm"])
            table.rows.append(
                [
                    name,
                    threads,
                    milliseconds(seconds["gplvm"]),
                    milliseconds(seconds[name]),
                    in_words(relative),
                    f">= {TARGET_PEERS:g}: {at_least(relative, TARGET_PEERS)}",
                    f"{difference:.0e}",
                ]
            )
    return table
