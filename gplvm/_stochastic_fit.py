"""The schedule of stochastic variational inference: growing, passes, and streams.

A fit of few rows with the collapsed bound takes seconds, so that several can be made of
different rows, and the best be kept. From there on four times as many rows climb
together at a time: the new ones are placed beside near ones, under functions that are
almost right, and need a fraction of the iterations that all rows together would need
from the beginning.

Rows beyond those that there is memory for are met in passes. The first pass only
places them and averages what they say about q(v); the later ones move the inducing
inputs and the hyperparameters too, at a pace that falls to nothing. Steps of full
length from the beginning would let rows settle around functions that are wrong.
"""

from dataclasses import dataclass

import numpy as np

from gplvm._projection import nearest_rows

# Rows of the first fits, at least and for each inducing point, and how many fits there
# are. Which rows begin decides which optimum all end in: two thousands of the rows of
# 8000 x 20 data led to -3.8 and -5.4 nats a row, and were at -6.0 and -8.3 at first.
# Other starts of the same rows made a difference of 0.1.
_FIRST_ROWS, _ROWS_PER_POINT = 1000, 20
_STARTS = 3

# By how much the rows grow at a time, at most.
_GROWTH = 4

# The rows that climb together have so many parameters at most, of which L-BFGS holds
# some forty copies, and data of so many entries, but may be as many as the first.
_JOINT_PARAMETERS = 1_000_000
_JOINT_ENTRIES = 2**24

# Of these, so many are what other rows start from: the best of the nearest five, and
# for the share of the rows whose bounds are the lowest, each of the nearest ten. Of
# 3000 rows that were placed, one in a hundred was 50 nats or more below the others, and
# better places for these raised the bound of all by half a nat a row.
_ANCHORS = 2000
_NEAREST, _NEAR = 5, 10
_LOWEST = 0.01

# Passes over the rows that do not all climb together.
N_PASSES = 3

# Evaluations of a row's bound when it is met first, and again.
_FIRST_STEPS, _LATER_STEPS = 10, 2

# q(v) is an average over the rows before: over all of them at first, then over about
# as many rows as there are, or so many batches if that is less.
_MEMORY = 1.0
_MEMORY_BATCHES = 100

# Passes over which the pace grows to one, and the share of all the batches over which
# it falls to nothing.
_WARM_UP = 1.0
_COOLING = 0.5

# In a stream the pace grows to one over so many batches, and then falls as
# (1 + batches / this)^(-1/2).
_FIRST_BATCHES, _FADING = 10.0, 20.0


@dataclass
class Anchors:
    """Rows whose positions are known, from which others start.

    Parameters
    ----------
    rows : ndarray of shape (n_anchors, n_features)
        Centred and complete.

    mean, std : ndarray of shape (n_anchors, q)
        Their positions' posteriors.
    """

    rows: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def place(self, Y, model):
        """Posteriors of new rows' positions, mean and std of shape (B, q)."""
        near, bound = self._nearest(Y, _NEAR), model.row_bound(Y)
        starts = near[:, :_NEAREST]
        owner = np.repeat(np.arange(len(Y)), starts.shape[1])
        density = bound.at_points(self.mean[starts.ravel()], owner)
        best = density.reshape(starts.shape).argmax(axis=1)
        start = starts[np.arange(len(Y)), best]
        ends = bound.settle(self.mean[start], self.std[start], _FIRST_STEPS)
        low = _lowest(ends[2])
        return self._elsewhere(bound, ends, low, near[low])

    def settle(self, Y, model, mean, std):
        """Posteriors of known rows under functions that have moved."""
        bound = model.row_bound(Y)
        ends = bound.settle(mean, std, _FIRST_STEPS)
        low = _lowest(ends[2])
        return self._elsewhere(bound, ends, low, self._nearest(Y[low], _NEAR))

    def guess(self, Y):
        """Positions of rows, without a model: those of the nearest anchors."""
        nearest = self._nearest(Y, 1)[:, 0]
        return self.mean[nearest], self.std[nearest]

    def _nearest(self, Y, n_nearest):
        return nearest_rows(Y, self.rows, min(n_nearest, len(self.rows)))

    def _elsewhere(self, bound, ends, low, near):
        """Of the rows `low` the best of their ends and of those of walks from `near`,
        (len(low), k); mean and std of all."""
        owner, near = np.repeat(low, near.shape[1]), near.ravel()
        mean, std, value = ends
        others = bound.settle(self.mean[near], self.std[near], _FIRST_STEPS, owner)
        # In ascending order: of entries for the same row the last one stays.
        order = np.argsort(others[2], kind="stable")
        order = order[others[2][order] > value[owner[order]]]
        mean[owner[order]], std[owner[order]] = others[0][order], others[1][order]
        return mean, std


def _lowest(bound):
    """Indices of the rows whose bounds are the lowest."""
    return np.argsort(bound)[: int(np.ceil(_LOWEST * len(bound)))]


def level_sizes(shape, n_components, n_inducing):
    """Numbers of rows that climb together, from the first to the most.

    `shape` is that of the data.
    """
    n_samples, n_features = shape
    first = min(n_samples, max(_FIRST_ROWS, _ROWS_PER_POINT * n_inducing))
    most = min(_JOINT_PARAMETERS // (2 * n_components), _JOINT_ENTRIES // n_features)
    most = min(n_samples, max(first, most))
    n_steps = int(np.ceil(np.log(most / first) / np.log(_GROWTH)))
    return np.geomspace(first, most, n_steps + 1).round().astype(int).tolist()


def n_starts(size, n_samples):
    """How many first fits of `size` rows each there are."""
    return _STARTS if size < n_samples else 1


def anchor_rows(rows, random_state):
    """Which of these rows others start from, in ascending order."""
    if len(rows) <= _ANCHORS:
        return np.sort(rows)
    return np.sort(random_state.choice(rows, _ANCHORS, replace=False))


@dataclass
class Schedule:
    """Lengths of the steps at each batch.

    Parameters
    ----------
    n_samples, batch_size, n_first : int
        Rows in all, in a batch, and of those that the functions know already.

    passes : int
        Passes over the rows.
    """

    n_samples: int
    batch_size: int
    n_first: int
    passes: int

    def __post_init__(self):
        self._pass = -(-self.n_samples // self.batch_size)
        self._total = self.passes * self._pass
        memory = min(_MEMORY * self._pass, _MEMORY_BATCHES)
        self._lowest_rate = 1.0 / max(memory, 1.0)
        self._cold = min(self._pass, _MEMORY_BATCHES)

    def rate(self, batch):
        """Length of the natural step of batch 0, 1, ..."""
        # At first the average over all rows so far, the known ones included.
        first = self.n_first / self.batch_size
        return max(1.0 / (1.0 + first + batch), self._lowest_rate)

    def pace(self, batch):
        """Factor of the length of Adam's steps."""
        warm = (batch + 1 - self._cold) / (_WARM_UP * self._cold)
        left = (1.0 - batch / self._total) / _COOLING
        return float(np.clip(min(warm, left), 0.0, 1.0))


def place(model, rows, anchors, chosen, mean, std, batch_size):
    """Find the positions of the rows `chosen`, in place.

    Parameters
    ----------
    model : StochasticModel
        The functions as they are known.

    rows : RowStream of shape (n_samples, n_features)
        The rows.

    anchors : Anchors
        Where they start.

    chosen : ndarray of int
        Which rows.

    mean, std : ndarray of shape (n_samples, q)
        Positions of all rows.

    batch_size : int
        Rows that are read at a time.
    """
    for start in range(0, len(chosen), batch_size):
        some = chosen[start : start + batch_size]
        mean[some], std[some] = anchors.place(rows[some], model)


def run_passes(
    model, rows, mean, std, placed, anchors, schedule, *, random_state, report
):
    """Walk over all the rows in batches, several times.

    Parameters
    ----------
    model : StochasticModel
        It is improved in place.

    rows : RowStream of shape (n_samples, n_features)
        The rows.

    mean, std : ndarray of shape (n_samples, q)
        The rows' positions, improved in place.

    placed : ndarray of bool of shape (n_samples,)
        Whose positions are known; in the end all are.

    anchors : Anchors
        Where the others start.

    schedule : Schedule
        Lengths of the steps.

    random_state : RandomState
        Shuffles the rows in each pass.

    report : callable
        ``report(loss) -> stop`` after each pass, `loss` being minus the average of the
        batches' estimates of the bound per row.
    """
    n_samples, size, batch = len(rows), schedule.batch_size, 0
    for _ in range(schedule.passes):
        order, total = random_state.permutation(n_samples), 0.0
        for start in range(0, n_samples, size):
            # In ascending order they are read faster.
            chosen = np.sort(order[start : start + size])
            Y, known = rows[chosen], placed[chosen]
            position = np.empty((2, len(chosen), mean.shape[1]))
            if known.any():
                old = chosen[known]
                bound = model.row_bound(Y[known])
                ends = bound.settle(mean[old], std[old], _LATER_STEPS)
                position[:, known] = ends[:2]
            if not known.all():
                position[:, ~known] = anchors.place(Y[~known], model)
            mean[chosen], std[chosen] = position
            placed[chosen] = True
            bound = model.step(
                Y,
                *position,
                weight=n_samples / len(chosen),
                rate=schedule.rate(batch),
                pace=schedule.pace(batch),
            )
            total += bound * len(chosen)
            batch += 1
        if report(float(-total / n_samples)):
            break


def settle_again(model, rows, anchors, mean, std, batch_size):
    """Move all positions (n_samples, q), in place, to where the functions are now."""
    for start in range(0, len(rows), batch_size):
        some = slice(start, start + batch_size)
        mean[some], std[some] = anchors.settle(rows[some], model, mean[some], std[some])


def guess_the_rest(rows, anchors, mean, std, placed):
    """After an interruption: positions of the rows that were not met."""
    missing = np.flatnonzero(~placed)
    for start in range(0, len(missing), 4096):
        chosen = missing[start : start + 4096]
        mean[chosen], std[chosen] = anchors.guess(rows[chosen])


class Stream:
    """A stream of rows of unknown length, each of which is met once.

    Parameters
    ----------
    model : StochasticModel
        It is improved in place.

    anchors : Anchors
        Where rows start; their positions follow the model.

    n_seen : int
        Number of rows the model knows.
    """

    def __init__(self, model, anchors, n_seen):
        self.model, self.anchors, self._n_seen = model, anchors, n_seen
        self._n_batches = 0

    def learn(self, Y):
        """Learn from rows (B, n_features).

        Returns
        -------
        positions : tuple of ndarray of shape (B, q)
            Means and standard deviations of the rows' positions.

        loss : float
            Minus the estimate of the bound per row, before the step.
        """
        self._n_seen += len(Y)
        self._n_batches += 1
        share = len(Y) / self._n_seen
        positions = self.anchors.place(Y, self.model)
        value = self.model.step(
            Y,
            *positions,
            weight=1.0 / share,
            rate=max(share, 1.0 / _MEMORY_BATCHES),
            pace=min(1.0, self._n_batches / _FIRST_BATCHES)
            * (1.0 + self._n_batches / _FADING) ** -0.5,
        )
        anchors = self.anchors
        bound = self.model.row_bound(anchors.rows)
        anchors.mean, anchors.std, _ = bound.settle(
            anchors.mean, anchors.std, _LATER_STEPS
        )
        return positions, float(-value)
