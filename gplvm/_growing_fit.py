"""Fits of the Bayesian model that begin with few rows and grow.

A fit of few rows with the collapsed bound takes seconds, so that several can be made of
different rows, and the best be kept. From there on four times as many rows climb
together at a time: the new ones are placed beside near ones, under functions that are
almost right, and need a fraction of the iterations that all rows together would need
from the beginning.
"""

from functools import partial

import numpy as np
from sklearn.utils import check_random_state

from gplvm._bayesian_starts import first_start, shaken, with_inducing_points
from gplvm._latent import given_embedding
from gplvm._optimize import walks_from
from gplvm._placement import Anchors, anchor_rows, guess_the_rest, place, settle_again
from gplvm._variational import ascend, settle

# Rows of the first fits, at least and for each inducing point, and how many fits there
# are. Which rows begin decides which optimum all end in: two thousands of the rows of
# 8000 x 20 data led to -3.8 and -5.4 nats a row, and were at -6.0 and -8.3 at first.
# Other starts of the same rows made a difference of 0.1.
_FIRST_ROWS, _ROWS_PER_POINT = 1000, 20
_STARTS = 3

# By how much the rows grow at a time at most, and in all at least.
_GROWTH, _LEAST_GROWTH = 4, 2

# A climb from a good start gains slowly at first: its tolerance is this share of `tol`.
# At `tol` itself 5000 x 50 rows stayed 2 of 23 nats a row below.
_FINER = 0.25

# Rows that find their positions at a time, and their entries: enough for several
# threads.
_BLOCK_ROWS, _BLOCK_ENTRIES = 1024, 2**22

# Blocks that have a row for each row of the data.
POSITIONS = ("embedding", "embedding_std")


def level_sizes(n_samples, n_inducing, most=np.inf):
    """Numbers of rows that climb together, from the first to the most.

    Of `n_samples` rows at most `most` do, but as many as the first fits need.
    """
    first = max(_FIRST_ROWS, _ROWS_PER_POINT * n_inducing)
    last = int(min(n_samples, max(first, most)))
    if last < _LEAST_GROWTH * first:
        return [last]
    n_steps = int(np.ceil(np.log(last / first) / np.log(_GROWTH)))
    return np.geomspace(first, last, n_steps + 1).round().astype(int).tolist()


def climb(
    estimator,
    likelihood,
    variance,
    shape,
    *,
    init,
    random_state,
    max_iter,
    report=None,
):
    """The settled end of the best of `n_restarts` walks from the beginning.

    Parameters
    ----------
    estimator : BayesianGPLVM
        Whose parameters count.

    likelihood : BayesianLikelihood or BayesianPatternLikelihood
        Of the rows.

    variance : float
        Mean variance of the data.

    shape : tuple of int
        Numbers of latent dimensions and of inducing points.

    init : str or ndarray
        As of the estimator, for these rows.

    random_state : RandomState
        Source of starts.

    max_iter, report
        As of `ascend`.

    Returns
    -------
    blocks, minimum
        As of `ascend`.
    """
    n_components, n_inducing = shape
    first = first_start(
        likelihood.Y,
        likelihood.kernel,
        variance,
        shape=estimator._kernel_shape(),
        n_components=n_components,
        init=init,
        noise_variance=estimator.noise_variance,
        random_state=random_state,
    )
    first = with_inducing_points(first, n_inducing, random_state)

    def starts():
        yield first
        for _ in range(estimator.n_restarts - 1):
            yield with_inducing_points(
                shaken(first, random_state), n_inducing, random_state
            )

    def walk(start):
        return ascend(
            start,
            likelihood=likelihood,
            theta_bounds=estimator._theta_bounds(likelihood, variance),
            max_iter=max_iter,
            tol=estimator.tol,
            name=type(estimator).__name__,
            report=report,
        )

    walks = walks_from(starts(), walk)
    blocks, minimum = min(walks, key=lambda walk: walk[1].fun)
    minimum.interrupted = walks[-1][1].interrupted  # Ctrl-C is meant for all
    # A start at the optimum is one iteration that found nothing to do.
    minimum.loss_curve = minimum.loss_curve or [minimum.fun]
    if not minimum.interrupted:
        try:
            blocks, bound = settle(blocks, likelihood)
        except KeyboardInterrupt:
            minimum.interrupted = True
        else:
            minimum.loss_curve[-1] = minimum.fun = -bound / len(likelihood.Y)
    return blocks, minimum


class GrowingFit:
    """A fit on its way.

    Where there are few rows, or a start is given for all of them, it begins and ends
    with all of them.

    Parameters
    ----------
    estimator : BayesianGPLVM
        What is fitted.

    likelihood : BayesianLikelihood or BayesianPatternLikelihood
        Of all rows.

    variance : float
        Their mean variance.

    shape : tuple of int
        Numbers of latent dimensions and of inducing points.

    walked : BayesianLikelihood or BayesianPatternLikelihood, default=None
        That of the rows with the digits that the walks see. None: `likelihood`.

    Attributes
    ----------
    most_iterations : int
        Iterations at most.

    losses : list of float
        Minus the bound per row after each iteration of the last climb.

    problem : str
        What keeps the fit from having converged; "" if nothing does.

    interrupted : bool
        Whether Ctrl-C does.
    """

    def __init__(self, estimator, likelihood, variance, shape, walked=None):
        self._estimator, self._variance, self._shape = estimator, variance, shape
        self._likelihood, self._walked = likelihood, walked or likelihood
        self._rows = self._walked.Y
        self._rng = check_random_state(estimator.random_state)
        self._mean, self._std = np.empty((2, len(self._rows), shape[0]))
        self._placed = np.zeros(len(self._rows), dtype=bool)
        self._block_rows = max(
            1, min(_BLOCK_ROWS, _BLOCK_ENTRIES // likelihood.Y.shape[1])
        )
        self._init = estimator.init
        if not isinstance(self._init, str):
            self._init = given_embedding(self._init, self._mean.shape)
        self._warm = estimator._warm_blocks(likelihood, *shape)
        self._sizes = self._levels()
        self._max_iter = self._most_of_a_climb()
        first = self._n_starts() * estimator.n_restarts
        self.most_iterations = (first + len(self._sizes) - 1) * self._max_iter
        self._stopped, self._lowest = False, np.inf
        self.losses, self.problem, self.interrupted = [], "", False

    def _levels(self):
        whole = [len(self._rows)]
        if self._warm is not None or not isinstance(self._init, str):
            return whole
        return level_sizes(len(self._rows), self._shape[1])

    def _most_of_a_climb(self):
        return self._estimator.max_iter

    def _n_starts(self):
        """How many first fits there are."""
        return _STARTS if self._sizes[0] < len(self._rows) else 1

    def run(self, report=None):
        """Fit.

        Parameters
        ----------
        report : callable, default=None
            ``report(loss, make_state) -> stop`` after each iteration; ``make_state()``
            returns what `end` does, of the rows that are known by then.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C was pressed and there is nothing to keep.
        """
        self._report = report or (lambda *args: False)
        try:
            if self._warm is None:
                self._begin_and_grow()
            else:
                self._mean[:], self._std[:] = (self._warm[name] for name in POSITIONS)
                self._placed[:] = True
                self._climb(self._some(self._placed, self._sizes[-1]), self._warm)
            # A fit that began with all rows has settled.
            if self._warm is not None or self._sizes[0] < len(self._rows):
                self._arrive()
            if self._walked is not self._likelihood:
                self._exact_loss()
        except KeyboardInterrupt:
            if not self.losses:
                raise
            self.interrupted = True
            self.problem = (
                f"{type(self._estimator).__name__} was interrupted; the best "
                "parameters so far are kept."
            )

    def _exact_loss(self):
        """Make the last loss that of the data with all their digits."""
        bound = self._likelihood.elbo(**self._blocks(slice(None)))
        self.losses[-1] = -bound / len(self._rows)

    def _begin_and_grow(self):
        self._begin(self._sizes[0])
        for size in self._sizes[1:]:
            if self._stopped:
                return
            self._grow(size)

    def end(self):
        """The bound of all rows, and their blocks.

        Where the fit was interrupted, rows that it has not met are where their
        neighbours are.
        """
        anchors, _ = self._anchors()
        guess_the_rest(self._rows, anchors, self._mean, self._std, self._placed)
        return self._likelihood, self._blocks(slice(None))

    def _blocks(self, chosen):
        positions = self._mean[chosen], self._std[chosen]
        return {**self._shared, **dict(zip(POSITIONS, positions, strict=True))}

    def _some(self, mask, size):
        """Indices of so many rows of those in the mask, in ascending order."""
        rows = np.flatnonzero(mask)
        if size < len(rows):
            rows = np.sort(self._rng.choice(rows, size, replace=False))
        return rows

    def _likelihood_of(self, chosen):
        if len(chosen) == len(self._rows) and isinstance(self._rows, np.ndarray):
            return self._walked
        return self._estimator._make_likelihood(
            self._rows[chosen], self._shape[0], self._variance
        )

    def _begin(self, size):
        """The best of some fits of rows that are chosen at random."""

        def subsets():
            for _ in range(self._n_starts()):
                if not self._stopped:
                    yield self._some(np.ones_like(self._placed), size)

        def fit(chosen):
            known = self._likelihood_of(chosen)
            blocks, minimum = climb(
                self._estimator,
                known,
                self._variance,
                self._shape,
                init=self._init if isinstance(self._init, str) else self._init[chosen],
                random_state=self._rng,
                max_iter=self._max_iter,
                report=self._reporter(known, chosen),
            )
            if minimum.fun < self._lowest:
                self._lowest, self._placed[:] = minimum.fun, False
                self._take(minimum, known, chosen, blocks)
            if minimum.interrupted:
                raise KeyboardInterrupt
            return (minimum,)

        walks_from(subsets(), fit)

    def _grow(self, size):
        """Let more rows take part."""
        self._place(self._some(~self._placed, size - np.count_nonzero(self._placed)))
        chosen = np.flatnonzero(self._placed)
        self._climb(chosen, self._blocks(chosen))

    def _place(self, new):
        row_bound, size = self._row_bound()
        anchors, _ = self._anchors()
        place(row_bound, self._rows, anchors, new, self._mean, self._std, size)
        self._placed[new] = True

    def _climb(self, chosen, start):
        """Climb from `start`, whose positions are those of all rows or of these."""
        estimator, known = self._estimator, self._likelihood_of(chosen)
        self._shared = {name: start[name] for name in start if name not in POSITIONS}
        blocks, minimum = ascend(
            self._blocks(chosen),
            likelihood=known,
            theta_bounds=estimator._theta_bounds(known, self._variance),
            max_iter=self._max_iter,
            tol=_FINER * estimator.tol,
            name=type(estimator).__name__,
            max_renewals=1,
            report=self._reporter(known, chosen),
        )
        self._take(minimum, known, chosen, blocks)
        if minimum.interrupted:
            raise KeyboardInterrupt

    def _reporter(self, known, chosen):
        def report(make_blocks, loss):
            self._stopped |= bool(
                self._report(loss, lambda: self._so_far(known, chosen, make_blocks))
            )
            return self._stopped

        return report

    def _so_far(self, known, chosen, make_blocks):
        """The state on a climb of the rows `chosen`, for `report`: of all rows."""
        blocks = make_blocks()
        if len(chosen) < len(self._rows):
            placed = np.isin(np.arange(len(self._rows)), chosen)
            positions = np.empty((2, *self._mean.shape))
            positions[:, chosen] = [blocks[name] for name in POSITIONS]
            # Not by the fit's own generator: nobody's watching changes its end.
            some = anchor_rows(chosen, np.random.RandomState(0))
            anchors = Anchors(self._rows[some], *positions[:, some])
            guess_the_rest(self._rows, anchors, *positions, placed)
            blocks = {**blocks, **dict(zip(POSITIONS, positions, strict=True))}
        return self._likelihood, blocks

    def _take(self, minimum, known, chosen, blocks):
        """Keep the end of a climb of the rows `chosen`."""
        blocks = dict(blocks)
        self._known, self._last = known, blocks.copy()
        self._mean[chosen], self._std[chosen] = (blocks.pop(p) for p in POSITIONS)
        self._placed[chosen] = True
        self._shared = blocks
        self.losses = minimum.loss_curve or [minimum.fun]
        # A limit of the schedule's own is no failure.
        own = self._max_iter < self._estimator.max_iter
        self.problem = "" if own else minimum.problem

    def _row_bound(self):
        """The rows' bounds under the functions as they are known, and for how many."""
        functions = self._known.posterior(**self._last)
        row_bound = partial(functions.row_bound, n_threads=self._known.n_threads)
        return row_bound, min(self._block_rows, functions.most_rows)

    def _anchors(self):
        """Some rows as `Anchors`, and which these are."""
        some = anchor_rows(np.flatnonzero(self._placed), self._rng)
        return Anchors(self._rows[some], self._mean[some], self._std[some]), some

    def _arrive(self):
        """All rows at the optima of their own bounds, after the last climb."""
        new = np.flatnonzero(~self._placed)
        if new.size:  # the fit was stopped
            self._place(new)
        if self._warm is None:
            self._settle_again(*self._row_bound())
        everything = self._walked if new.size else self._known
        blocks, bound = settle(self._blocks(slice(None)), everything)
        self._mean[:], self._std[:] = (blocks[name] for name in POSITIONS)
        before = [] if new.size else self.losses[:-1]
        self.losses = [*before, -bound / len(self._rows)]

    def _settle_again(self, row_bound, size):
        # Rows may be lost in another fold since they were placed.
        anchors, _ = self._anchors()
        settle_again(row_bound, self._rows, anchors, self._mean, self._std, size)
