"""Each row's own bound on its log density, and the position's posterior at the top.

The functions are as they are; what depends on a row alone, and not on where it is, is
computed once.
"""

import numpy as np

from gplvm import kernels
from gplvm._parallel import TILE, block_map, row_blocks, whole_tiles
from gplvm.gradients.inducing import standard_normal_divergence
from gplvm.gradients.positions import expected_fit, position_step
from gplvm.gradients.prediction import standard_normal

# A chunk's products of covariances have at most about this many entries, so that they
# and the rows' own small arrays share the caches; its rows are whole BLAS tiles.
CHUNK_ENTRIES = 3 * 2**17
CHUNK_ROWS = 256

# A row has settled when a step gains it less than this, in nats. A step that would
# lose is refused and the next one is shorter.
_SETTLED = 1e-2
_SHORTER, _LONGER = 0.25, 2.0

# Rounding of a product of covariances, an exponential of a sum, relative to it.
_LAST_DIGITS = 4 * np.finfo(float).eps


def chunk_rows(n_pairs):
    """Rows of a chunk, for M (M + 1) / 2 pairs of inducing inputs."""
    return min(CHUNK_ROWS, max(1, CHUNK_ENTRIES // n_pairs // TILE) * TILE)


def padded_chunks(rows, n_pairs):
    """Numbers of rows, chunk by chunk, and the same padded to whole BLAS tiles."""
    for block in row_blocks(len(rows), chunk_rows(n_pairs)):
        chunk = rows[block]
        yield chunk, whole_tiles(chunk)


class RowBound:
    """<log p(y_n | x_n, u)> - KL(q(x_n) || N(0, I)) of rows, and its maximiser.

    Parameters
    ----------
    functions : BayesianPosterior
        What is known of the functions.

    Y : ndarray of shape (n_rows, n_features)
        Rows, centred; NaN marks an entry that was not observed. Rows with such entries
        take M (M + 1) / 2 numbers each.

    n_threads : int, default=None
        Threads of `settle` over chunks of rows.
    """

    def __init__(self, functions, Y, n_threads=None):
        self._functions, self._n_threads = functions, n_threads
        observed = ~np.isnan(Y)
        filled = np.where(observed, Y, 0.0)
        self._squares = np.einsum("nd,nd->n", filled, filled)
        self._n_observed = observed.sum(axis=1)
        # Padded: a row's answer to the last digits does not depend on the others.
        self._projected = np.empty((len(Y), len(functions.weights)))
        for chunk, padded in padded_chunks(
            np.arange(len(Y)), functions.expectations.n_pairs
        ):
            products = filled[padded] @ functions.weights.T
            self._projected[chunk] = products[: len(chunk)]
        # Rows without holes share one quadratic form, and with it a cheaper pullback.
        self._whole = self._n_observed == Y.shape[1]
        self._holes = np.cumsum(~self._whole) - 1
        self._of_holes = functions.quadratic(observed[~self._whole])
        self._shared = functions.quadratic_of_all
        self._weighed = functions.expectations.weighed(
            -0.5 / functions.noise_variance * self._shared
        )

    @property
    def rounding(self):
        """About how far rounding moves a bound, in nats."""
        # It has tr(Q psi2) / (2 s2), of terms that are up to max |Q| k(z, z)^2 and
        # cancel: of almost straight functions the weights, Q = W W' - ..., grow until
        # the jitter stops them. Each term is wrong in its last digits.
        functions = self._functions
        largest = kernels.diagonal(functions.kernel, functions.inputs).max() ** 2
        terms = 0.5 * largest * np.abs(self._shared).sum() / functions.noise_variance
        return float(_LAST_DIGITS * terms)

    def __call__(self, mu, S, rows):
        """Bounds of rows at uncertain positions.

        Parameters
        ----------
        mu, S : ndarray of shape (B, q)
            Means and variances of the positions.

        rows : ndarray of shape (B,)
            The numbers of the rows that may be there.

        Returns
        -------
        bound : ndarray of shape (B,)
            In nats.

        dmu, dS : ndarray of shape (B, q)
            Its gradients.
        """
        divergence, dmu, dS = standard_normal_divergence(mu, S)
        bound, dmu, dS = -divergence, -dmu, -dS
        whole = self._whole[rows]
        n_pairs = self._functions.expectations.n_pairs
        for those, shared in ((whole, True), (~whole, False)):
            for chunk, padded in padded_chunks(np.flatnonzero(those), n_pairs):
                n = len(chunk)
                fit = self._fit(mu[padded], S[padded], rows[padded], shared)
                for total, part in zip((bound, dmu, dS), fit, strict=True):
                    total[chunk] += part[:n]
        return bound, dmu, dS

    def _fit(self, mu, S, rows, shared):
        """<log p(y | x, u)> and its gradients."""
        functions = self._functions
        quadratic = self._shared if shared else self._of_holes[self._holes[rows]]
        statistics = functions.expectations.rows(mu, S)
        value, *slopes = expected_fit(
            statistics.psi0,
            statistics.psi1,
            statistics.psi2,
            self._projected[rows],
            self._squares[rows],
            quadratic,
            functions.noise_variance,
            n_features=self._n_observed[rows],
        )
        weighed = self._weighed if shared else None
        dmu, dS, _ = statistics.pull(*slopes, weighed, sums=False)
        return value, dmu, dS

    def at_points(self, X, rows):
        """log p(y, x) (B,) of `rows` at points X (B, q), as q(u) expects it.

        It takes M exponentials a row and not M (M + 1) / 2.
        """
        value, whole = standard_normal(X)[0], self._whole[rows]
        n_pairs = self._functions.expectations.n_pairs
        parts = [np.flatnonzero(whole)] if whole.any() else []
        parts += [chunk for chunk, _ in padded_chunks(np.flatnonzero(~whole), n_pairs)]
        for some in parts:
            value[some] += self._at_points(X[some], rows[some], whole[some[0]])
        return value

    def _at_points(self, X, rows, shared):
        # Without variance psi2 = k k', and tr(Q psi2) = k Q k'.
        functions = self._functions
        pairs = functions.expectations.pairs
        k = kernels.matrix(functions.kernel, X, functions.inputs)
        if shared:
            psi2 = k @ pairs.whole(self._shared)
            psi2 *= k
            quadratic = np.ones(k.shape[1])
        else:
            psi2 = np.multiply(*pairs.of(k))
            quadratic = self._of_holes[self._holes[rows]]
        value, *_ = expected_fit(
            kernels.diagonal(functions.kernel, X),
            k,
            psi2,
            self._projected[rows],
            self._squares[rows],
            quadratic,
            functions.noise_variance,
            n_features=self._n_observed[rows],
        )
        return value

    def settle(self, mean, std, n_steps, rows=None):
        """Positions after natural gradient steps, each row by itself.

        Parameters
        ----------
        mean, std : ndarray of shape (B, q)
            Means and standard deviations to start from.

        n_steps : int
            Evaluations of a row at most, beside the first.

        rows : ndarray of shape (B,), default=None
            Whose starts these are. None: all the rows', in their order.

        Returns
        -------
        mean, std : ndarray of shape (B, q)

        bound : ndarray of shape (B,)
            The rows' bounds, none below that at its start.
        """
        rows = np.arange(len(mean)) if rows is None else rows
        chunks = row_blocks(len(mean), chunk_rows(self._functions.expectations.n_pairs))
        # A step that overflows is no gain.
        quiet = np.errstate(over="ignore", invalid="ignore")
        with quiet, block_map(len(chunks), self._n_threads) as map_chunks:
            parts = map_chunks(
                lambda some: self._settle(mean[some], std[some], rows[some], n_steps),
                chunks,
            )
        return tuple(map(np.concatenate, zip(*parts, strict=True)))

    def _settle(self, mean, std, rows, n_steps):
        mu, S = mean.copy(), std**2
        state = self(mu, S, rows)
        rate, active = np.ones(len(mu)), np.arange(len(mu))
        for _ in range(n_steps):
            step = position_step(
                *(array[active] for array in (mu, S, *state[1:], rate))
            )
            ahead = self(*step, rows[active])
            gain = ahead[0] - state[0][active]
            better = gain >= 0.0
            moved = active[better]
            for array, new in zip((mu, S, *state), (*step, *ahead), strict=True):
                array[moved] = new[better]
            rate[active] *= np.where(better, _LONGER, _SHORTER)
            np.minimum(rate, 1.0, out=rate)
            active = active[~better | (gain > _SETTLED)]
            if not active.size:
                break
        return mu, np.sqrt(S), state[0]
