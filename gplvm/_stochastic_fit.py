"""The schedule of stochastic variational inference: passes over all rows, and streams.

The first pass only places the rows that the functions do not know yet, and averages
what they say about q(v); the later ones move the inducing inputs and the
hyperparameters too, at a pace that falls to nothing. Steps of full length from the
beginning would let rows settle around functions that are wrong.
"""

from dataclasses import dataclass

import numpy as np

# Passes over the rows that do not all climb together, and batches in all of them: of
# flow of 2000 rows, in batches of 1000 while 1000 rows climbed, six batches ended 6
# percent below the bound of all rows climbing together, 200 batches 2.6, and 500 1.9.
_FEWEST_PASSES, _FEWEST_BATCHES = 3, 500

# Evaluations of the bound of a row that is met again.
_STEPS = 2

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


def n_passes(n_samples, batch_size):
    """How many passes over so many rows there are."""
    per_pass = -(-n_samples // batch_size)
    return max(_FEWEST_PASSES, -(-_FEWEST_BATCHES // per_pass))


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
                ends = bound.settle(mean[old], std[old], _STEPS)
                position[:, known] = ends[:2]
            if not known.all():
                position[:, ~known] = anchors.place(Y[~known], model.row_bound)
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


class Stream:
    """A stream of rows of unknown length, each of which is met once.

    Parameters
    ----------
    model : StochasticModel
        It is improved in place.

    anchors : Anchors
        Where rows start; their positions follow the model.

    mean : ndarray of shape (n_features,)
        What is subtracted from rows before they are learnt.

    n_seen : int
        Number of rows the model knows.
    """

    def __init__(self, model, anchors, mean, n_seen):
        self.model, self.anchors, self.mean = model, anchors, mean
        self._n_seen, self._n_batches = n_seen, 0

    def learn(self, Y):
        """Learn from centred rows (B, n_features).

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
        positions = self.anchors.place(Y, self.model.row_bound)
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
        anchors.mean, anchors.std, _ = bound.settle(anchors.mean, anchors.std, _STEPS)
        return positions, float(-value)
