"""The exact GP-LVM's value and gradient, beside LAPACK and other packages."""

import warnings
from contextlib import ExitStack

import numpy as np
from _peers import Peer, find
from _report import Table, at_least, at_most, in_words, milliseconds
from _timing import blas_threads, peak_bytes, race, ratio, timed
from scipy.linalg import blas, lapack
from sklearn.exceptions import ConvergenceWarning

from gplvm import GPLVM, _likelihoods, kernels

HEADING = "Exact GP-LVM: value and full gradient with the RBF kernel"
THREADS = (1, 2)
SIGNAL, NOISE = 1.5, 0.1
LEAD = 4  # evaluations before each that counts, as an optimiser makes many
TARGET_FLOOR, TARGET_MEMORY = 1.5, 5.0
TARGET_PEERS = {"GPy": 2.0, "GPflow": 4.0}


class Problem:
    """An evaluation at given positions, and the least that it has to compute."""

    def __init__(self, n, d):
        rng = np.random.default_rng(0)
        self.X, self.Y = rng.normal(size=(n, 2)), rng.normal(size=(n, d))
        self.Y -= self.Y.mean(axis=0)
        exact = {"n_inducing": None} if "n_inducing" in GPLVM().get_params() else {}
        model = GPLVM(2, kernel="rbf", init=self.X, max_iter=1, **exact)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model = model.fit(self.Y)
        self._theta = np.log([SIGNAL, NOISE])
        kernel = model.kernel_.clone_with_theta(self._theta[:-1])
        self._columns = np.asfortranarray(self.Y)
        self._K = kernels.matrix(kernel, self.X) + NOISE * np.eye(n)

    def evaluate(self):
        """log p(Y | X) and its gradient for positions, signal and noise."""
        return self._model.log_likelihood(
            embedding=self.X, theta=self._theta, eval_gradient=True
        )

    def matrix(self):
        """The covariance, as LAPACK likes it, to be overwritten."""
        return np.array(self._K, order="F")

    def contenders(self):
        return {
            "gplvm": timed(self.evaluate),
            "floor": timed(floor, self.matrix),
            "with data": timed(self.floor_with_data, self.matrix),
        }

    def floor_with_data(self, K):
        """The floor, and the data's two products: W = K^-1 Y and a triangle of W W'."""
        factor, _ = lapack.dpotrf(K, overwrite_a=1)
        weights, _ = lapack.dpotrs(factor, self._columns)
        lapack.dpotri(factor, overwrite_c=1)
        blas.dsyrk(1.0, weights)

    def memory(self):
        """Peak memory of an evaluation, in arrays as large as the covariance.

        With what is kept from call to call.
        """
        _likelihoods._kept.clear()
        peak = peak_bytes(self.evaluate)
        kept = sum(memory.nbytes for memory in _likelihoods._kept)
        return (peak + kept) / self._K.nbytes


def floor(K):
    """A Cholesky factor and the inverse, in place: no gradient without them."""
    factor, _ = lapack.dpotrf(K, overwrite_a=1)
    lapack.dpotri(factor, overwrite_c=1)


def run(options):
    n = 250 if options.quick else 1000
    at_n = Table(
        f"N = {n}, Q = 2",
        [
            "D",
            "BLAS threads",
            "gplvm, ms",
            "potrf + potri, ms",
            "gplvm / floor",
            "target <= 1.5",
            "gplvm / floor with data",
            "memory, N x N arrays",
            "target <= 5",
        ],
        """One call of `GPLVM.log_likelihood(eval_gradient=True)`, the fifth in a row,
        as an optimiser makes them: value and gradient for all positions, the signal
        and the noise. Just after a large product by BLAS it is slower on two threads,
        since those of BLAS wait busily for another one for some 25 ms. The floor is
        LAPACK's Cholesky factor and inverse of that covariance, alone and in place,
        at the same number of threads. With many features the products with the data,
        K^-1 Y and the triangle of its square, cost more than the floor: "floor with
        data" adds them. Memory is the peak of the arrays of the call, which with D =
        784 include one of N x D; it is measured in a run of its own.""",
    )
    growth = Table(
        "Growth with N, D = 12, as many threads as BLAS takes",
        [
            "N",
            "gplvm, ms",
            "potrf + potri, ms",
            "gplvm / floor",
            "time, power of N",
            "memory, N x N arrays",
        ],
        """The power of N is between this row and the one above: towards 3 the
        factorisation rules, towards 2 the covariance and its gradient. The arrays
        of small problems are not the whole memory of the process.""",
    )
    peers = Table(
        f"Beside other packages, N = {n}, Q = 2",
        [
            "package",
            "D",
            "threads",
            "gplvm, ms",
            "package, ms",
            "package / gplvm",
            "target",
            "relative difference of the values",
        ],
        """Here the ratio says how many times faster gplvm is. Each package runs in its
        own process, in turns with gplvm, through the function its own optimiser calls
        (GPy's objective with gradient; GPflow's loss compiled by TensorFlow). The
        values agree where the last column is small: all compute the same function.
        Start-up and compilation are not counted.""",
    )
    modules = {"GPy": "GPy", "GPflow": "gpflow"}
    pythons = {name: find(module, options.pythons) for name, module in modules.items()}
    for d in (12, 784):
        problem = Problem(n, d)
        memory = problem.memory()
        for threads in THREADS:
            with ExitStack() as stack:
                stack.enter_context(blas_threads(threads))
                contenders = problem.contenders()
                seconds = race(contenders, options.repeats, lead=LEAD)
                relative = ratio(seconds["gplvm"], seconds["floor"])
                at_n.rows.append(
                    [
                        d,
                        threads,
                        milliseconds(seconds["gplvm"]),
                        milliseconds(seconds["floor"]),
                        in_words(relative),
                        at_most(relative, TARGET_FLOOR),
                        in_words(ratio(seconds["gplvm"], seconds["with data"])),
                        f"{memory:.1f}",
                        "met" if memory <= TARGET_MEMORY else "missed",
                    ]
                )
                value = problem.evaluate()[0]
                for name, python in pythons.items():
                    if python is None:
                        continue
                    arrays = {"X": problem.X, "Y": problem.Y}
                    scalars = {"signal": SIGNAL, "noise": NOISE}
                    with Peer(python, name, threads, **arrays, **scalars) as peer:
                        ours = contenders["gplvm"]
                        seconds = race(
                            {"gplvm": ours, name: peer},
                            max(3, options.repeats // 2),
                            2,
                            lead=LEAD,
                        )
                        relative = ratio(seconds[name], seconds["gplvm"])
                        difference = abs(peer.value - value) / abs(value)
                        peers.versions |= peer.versions
                    target = TARGET_PEERS[name]
                    peers.rows.append(
                        [
                            name,
                            d,
                            threads,
                            milliseconds(seconds["gplvm"]),
                            milliseconds(seconds[name]),
                            in_words(relative),
                            f">= {target:g}: {at_least(relative, target)}",
                            f"{difference:.0e}",
                        ]
                    )
    before = None
    for n in (100, 200) if options.quick else (250, 500, 1000, 2000):
        problem = Problem(n, 12)
        seconds = race(problem.contenders(), options.repeats, lead=LEAD)
        median = np.median(seconds["gplvm"])
        power = "-" if before is None else f"{np.log2(median / before):.1f}"
        before = median
        growth.rows.append(
            [
                n,
                milliseconds(seconds["gplvm"]),
                milliseconds(seconds["floor"]),
                in_words(ratio(seconds["gplvm"], seconds["floor"])),
                power,
                f"{problem.memory():.1f}",
            ]
        )
    return [at_n, growth, *([peers] if peers.rows else [])]
