"""Positions of rows that a fit meets when it knows others already.

They start from those of near rows, under functions that are almost right.
"""

from dataclasses import dataclass

import numpy as np

from gplvm._projection import nearest_rows

# So many of the rows that are known are what others start from: the best of the nearest
# five, and for the share of the rows whose bounds are the lowest, each of the nearest
# ten. Of 3000 rows that were placed, one in a hundred was 50 nats or more below the
# others, and better places for these raised the bound of all by half a nat a row.
_ANCHORS = 2000
_NEAREST, _NEAR = 5, 10
_LOWEST = 0.01

# Evaluations of the row's bound from each start.
_STEPS = 10


@dataclass
class Anchors:
    """Rows whose positions are known, from which others start.

    Parameters
    ----------
    rows : ndarray of shape (n_anchors, n_features)
        Centred; NaN where an entry is missing.

    mean, std : ndarray of shape (n_anchors, q)
        Their positions' posteriors.
    """

    rows: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def place(self, Y, row_bound):
        """Posteriors of new rows' positions, mean and std of shape (B, q).

        ``row_bound(Y)`` is their `RowBound` under the functions as they are known.
        """
        near, bound = self._nearest(Y, _NEAR), row_bound(Y)
        starts = near[:, :_NEAREST]
        owner = np.repeat(np.arange(len(Y)), starts.shape[1])
        density = bound.at_points(self.mean[starts.ravel()], owner)
        best = density.reshape(starts.shape).argmax(axis=1)
        start = starts[np.arange(len(Y)), best]
        ends = bound.settle(self.mean[start], self.std[start], _STEPS)
        low = _lowest(ends[2])
        return self._elsewhere(bound, ends, low, near[low])

    def settle(self, Y, row_bound, mean, std):
        """Posteriors of known rows under functions that have moved."""
        bound = row_bound(Y)
        ends = bound.settle(mean, std, _STEPS)
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
        others = bound.settle(self.mean[near], self.std[near], _STEPS, owner)
        # In ascending order: of entries for the same row the last one stays.
        order = np.argsort(others[2], kind="stable")
        order = order[others[2][order] > value[owner[order]]]
        mean[owner[order]], std[owner[order]] = others[0][order], others[1][order]
        return mean, std


def _lowest(bound):
    """Indices of the rows whose bounds are the lowest."""
    return np.argsort(bound)[: int(np.ceil(_LOWEST * len(bound)))]


def anchor_rows(rows, random_state):
    """Which of these rows others start from, in ascending order."""
    if len(rows) <= _ANCHORS:
        return np.sort(rows)
    return np.sort(random_state.choice(rows, _ANCHORS, replace=False))


def place(row_bound, rows, anchors, chosen, mean, std, batch_size):
    """Find the positions of the rows `chosen`, in place.

    Parameters
    ----------
    row_bound : callable
        ``row_bound(Y) -> RowBound``, under the functions as they are known.

    rows : ndarray or RowStream of shape (n_samples, n_features)
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
        mean[some], std[some] = anchors.place(rows[some], row_bound)


def settle_again(row_bound, rows, anchors, mean, std, batch_size):
    """Move all positions (n_samples, q), in place, to where the functions are now."""
    for start in range(0, len(rows), batch_size):
        some = slice(start, start + batch_size)
        mean[some], std[some] = anchors.settle(
            rows[some], row_bound, mean[some], std[some]
        )


def guess_the_rest(rows, anchors, mean, std, placed):
    """After an interruption: positions of the rows that were not met."""
    missing = np.flatnonzero(~placed)
    for start in range(0, len(missing), 4096):
        chosen = missing[start : start + 4096]
        mean[chosen], std[chosen] = anchors.guess(rows[chosen])
