"""The schedule of stochastic variational inference: passes over rows, and streams.

A fit of some rows with the collapsed bound is the start. From there on the functions
know these rows, and every other row is placed beside a near one. The first pass
only places rows and averages what they say about q(v); the later ones move the inducing
inputs and the hyperparameters too, at a pace that falls to nothing. Steps of full
length from the beginning would let rows settle around functions that are wrong.

Steps that move positions and functions in turn are slow where these depend on each
other. So the passes are followed by a climb in which all move together, with the
collapsed bound of all rows, or of as many of them as there is memory for; in the latter
case the other rows then settle once more.
"""

from dataclasses import dataclass

import numpy as np

from gplvm._projection import nearest_rows

# The rows that the start is fitted to: so many if their data have no more entries than
# that, else fewer, but at least the third number; and for each inducing point. Starts
# from a thousand rows of 5000 x 20 data ended at 1.55 nats a row at best, and the one
# from all of them at 1.81, even with the climb at the end.
_FIRST_ROWS, _FIRST_ENTRIES, _FEWEST_ROWS = 10_000, 2**23, 1000
_ROWS_PER_POINT = 20

# Of these, so many are what other rows start from.
_ANCHORS = 2000

# Passes over the rows: as many as give this number of batches, and at least so many.
_N_BATCHES = 100
_MIN_PASSES = 3

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

# The rows that climb together have so many parameters at most, of which L-BFGS holds
# some forty copies; where they are not all rows, their data are as many as those of the
# start may be. The climb takes so many iterations at most.
_JOINT_PARAMETERS = 400_000
JOINT_ITERATIONS = 300

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

    def place(self, Y, model=None):
        """Starts (B, q), mean and std, for rows: those of their nearest anchor, or of
        the nearest two the one where the row's bound is higher."""
        n_nearest = 1 if model is None else min(2, len(self.rows))
        nearest = nearest_rows(Y, self.rows, n_nearest)
        if model is None:
            nearest = nearest[:, 0]
            return self.mean[nearest], self.std[nearest]
        return model.higher(Y, self.mean[nearest], self.std[nearest])


def first_rows(shape, batch_size, n_inducing, random_state):
    """Indices of the rows that the start is fitted to, in ascending order.

    `shape` is that of the data.
    """
    size = max(_most_rows(shape[1], _FIRST_ROWS), _ROWS_PER_POINT * n_inducing)
    return _some_rows(shape[0], max(size, batch_size), random_state)


def anchor_rows(n_first, random_state):
    """Which of the start's rows others start from, in ascending order."""
    return _some_rows(n_first, _ANCHORS, random_state)


def _most_rows(n_features, size):
    """So many rows, or fewer if they have many features."""
    return min(size, max(_FIRST_ENTRIES // n_features, _FEWEST_ROWS))


def _some_rows(n_samples, size, random_state):
    if size >= n_samples:
        return np.arange(n_samples)
    return np.sort(random_state.choice(n_samples, size, replace=False))


def n_passes(n_samples, batch_size):
    """How many passes over the rows the schedule is made for."""
    return max(_MIN_PASSES, -(-_N_BATCHES // -(-n_samples // batch_size)))


def joint_rows(shape, n_components, random_state):
    """Indices of the rows that climb together, in ascending order; None: all.

    `shape` is that of the data.
    """
    size = _JOINT_PARAMETERS // (2 * n_components)
    if size >= shape[0]:
        return None
    return _some_rows(shape[0], _most_rows(shape[1], size), random_state)


@dataclass
class Schedule:
    """Lengths of the steps at each batch.

    Parameters
    ----------
    n_samples, batch_size, n_first : int
        Rows in all, in a batch, and in the fit that is the start.

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
        # At first the average over all rows so far, those of the start included.
        first = self.n_first / self.batch_size
        return max(1.0 / (1.0 + first + batch), self._lowest_rate)

    def pace(self, batch):
        """Factor of the length of Adam's steps."""
        warm = (batch + 1 - self._cold) / (_WARM_UP * self._cold)
        left = (1.0 - batch / self._total) / _COOLING
        return float(np.clip(min(warm, left), 0.0, 1.0))


def run_passes(model, rows, known, anchors, schedule, *, random_state, report):
    """Walk over all the rows in batches, several times.

    Parameters
    ----------
    model : StochasticModel
        It is improved in place.

    rows : RowStream of shape (n_samples, n_features)
        The rows.

    known : tuple of indices, ndarray and ndarray of shape (n_known, q)
        Rows whose positions are known, and these: means and standard deviations.

    anchors : Anchors
        Where the others start.

    schedule : Schedule
        Lengths of the steps.

    random_state : RandomState
        Shuffles the rows in each pass.

    report : callable
        ``report(mean, std, loss) -> stop`` after each pass, `loss` being minus the
        average of the batches' estimates of the bound per row.

    Returns
    -------
    mean, std : ndarray of shape (n_samples, q)
        The rows' positions.

    losses : list of float
        One for each pass.

    interrupted : bool
        Whether Ctrl-C ended the walk.
    """
    n_samples, size = len(rows), schedule.batch_size
    mean, std = np.empty((2, n_samples, anchors.mean.shape[1]))
    placed = np.zeros(n_samples, dtype=bool)
    chosen, mean[chosen], std[chosen] = known
    placed[chosen] = True
    losses, batch = [], 0
    try:
        for _ in range(schedule.passes):
            order, total = random_state.permutation(n_samples), 0.0
            for start in range(0, n_samples, size):
                # In ascending order they are read faster.
                chosen = np.sort(order[start : start + size])
                Y = rows[chosen]
                unknown = ~placed[chosen]
                if unknown.any():
                    new = chosen[unknown]
                    mean[new], std[new] = anchors.place(Y[unknown], model)
                    placed[new] = True
                position = model.settle(
                    Y,
                    mean[chosen],
                    std[chosen],
                    _LATER_STEPS if losses else _FIRST_STEPS,
                )
                mean[chosen], std[chosen] = position
                bound = model.step(
                    Y,
                    *position,
                    weight=n_samples / len(chosen),
                    rate=schedule.rate(batch),
                    pace=schedule.pace(batch),
                )
                total += bound * len(chosen)
                batch += 1
            losses.append(float(-total / n_samples))
            if report(mean, std, losses[-1]):
                break
    except KeyboardInterrupt:
        _place_the_rest(rows, anchors, mean, std, placed)
        return mean, std, losses, True
    return mean, std, losses, False


def _place_the_rest(rows, anchors, mean, std, placed):
    """After an interruption in the first pass: positions of rows not met yet."""
    missing = np.flatnonzero(~placed)
    for start in range(0, len(missing), 4096):
        chosen = missing[start : start + 4096]
        mean[chosen], std[chosen] = anchors.place(rows[chosen])


def settle_again(model, rows, mean, std, batch_size):
    """Move all positions (n_samples, q), in place, to where the functions are now.

    Returns
    -------
    interrupted : bool
        Whether Ctrl-C left some of them where they were.
    """
    try:
        for start in range(0, len(rows), batch_size):
            some = slice(start, start + batch_size)
            mean[some], std[some] = model.settle(
                rows[some], mean[some], std[some], _FIRST_STEPS
            )
    except KeyboardInterrupt:
        return True
    return False


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
        positions = self.model.settle(
            Y, *self.anchors.place(Y, self.model), _FIRST_STEPS
        )
        bound = self.model.step(
            Y,
            *positions,
            weight=1.0 / share,
            rate=max(share, 1.0 / _MEMORY_BATCHES),
            pace=min(1.0, self._n_batches / _FIRST_BATCHES)
            * (1.0 + self._n_batches / _FADING) ** -0.5,
        )
        anchors = self.anchors
        anchors.mean, anchors.std = self.model.settle(
            anchors.rows, anchors.mean, anchors.std, _LATER_STEPS
        )
        return positions, float(-bound)
