"""The rows of the Bayesian model's two maps: to sums, and from their gradients back.

What is small runs on one of the threads while the others have products of covariances.
"""

from functools import partial
from operator import iadd

import numpy as np

from gplvm._parallel import row_blocks
from gplvm._sparse import sum_parts
from gplvm.gradients.inducing import standard_normal_divergence
from gplvm.kernels._thin import PIECE_ROWS

# So many rows of `AtOnce` are a task of the second map: whoever has it comes back to
# the interpreter when another thread is through with the small operations.
_PULLED_ROWS = 35 * PIECE_ROWS


class Chunks:
    """The rows chunk by chunk, by the thread that has their span.

    Parameters
    ----------
    likelihood : BayesianLikelihood
        Whose statistics these are.

    expectations : Expectations
        Of the inducing inputs.

    mu, std : ndarray of shape (n_samples, q)
        Means and standard deviations of the positions.

    Y : ndarray of shape (n_samples, r)
        The data, or a factor.

    memory : ndarray of shape (n_kept, whole_lines(P))
        For the products of the first rows, from the sums to the gradients.
    """

    def __init__(self, likelihood, expectations, mu, std, Y, memory=()):
        self._likelihood, self._expectations = likelihood, expectations
        self._mu, self._std, self._Y = mu, std, Y
        self._memory, self._kept = memory, {}

    def _chunks(self, span):
        size = self._likelihood.chunk_rows(self._expectations)
        for rows in row_blocks(span.stop - span.start, size):
            yield slice(span.start + rows.start, span.start + rows.stop)

    def _rows(self, chunk, out=None):
        return self._expectations.rows(self._mu[chunk], self._std[chunk] ** 2, out)

    def add_up(self, map_spans, spans, beside):
        """psi0 (G,), Psi1'Y (M, r) and the sums that the likelihood's `_psi2` takes.

        And what ``beside()`` returns, which one of the threads does meanwhile.
        """

        def add_up(span):
            sums = None
            for chunk in self._chunks(span):
                keep = chunk.stop <= len(self._memory)
                rows = self._rows(chunk, self._memory[chunk] if keep else None)
                part = [
                    self._likelihood.sum_psi0(chunk, rows),
                    rows.psi1.T @ self._Y[chunk],
                    *self._likelihood.sum_psi2(chunk, rows),
                ]
                sums = part if sums is None else list(map(iadd, sums, part))
                if keep:
                    self._kept[chunk.start] = rows
            return sums

        done, *parts = _map_beside(map_spans, beside, add_up, spans)
        return sum_parts(parts), done

    def pull(self, map_spans, spans, gradient, beside):
        """Gradients of the rows, and sums over them.

        Parameters
        ----------
        map_spans, spans
            As for `add_up`.

        gradient : dict
            From the likelihood's `_bound`.

        beside : callable
            Small operations, for a thread while others have large ones.

        Returns
        -------
        sums : list
            The divergence, and what `Expectations.finish` takes.

        dmu, dstd : ndarray of shape (n_samples, q)
            Gradients of the bound less the divergence.

        done
            What ``beside()`` returned.
        """
        likelihood, dP = self._likelihood, gradient["P"].T.copy()
        shared = likelihood.shared(gradient["Psi2"])
        weighed = None if shared is None else self._expectations.weighed(shared)
        dmu, dstd = np.empty(self._mu.shape), np.empty(self._mu.shape)

        def pull(span):
            total = None
            for chunk in self._chunks(span):
                rows = self._kept.get(chunk.start) or self._rows(chunk)
                *part, sums = rows.pull(
                    likelihood.of_rows(chunk, gradient["psi0"]),
                    self._Y[chunk] @ dP,
                    likelihood.of_products(chunk, gradient["Psi2"]),
                    weighed,
                )
                std = self._std[chunk]
                divergence, *prior = standard_normal_divergence(self._mu[chunk], std**2)
                dmu[chunk], dstd[chunk] = _less_prior(part, prior, std)
                sums = [divergence.sum(), *sums]
                total = sums if total is None else list(map(iadd, total, sums))
            return total

        done, *parts = _map_beside(map_spans, beside, pull, spans)
        return sum_parts(parts), dmu, dstd, done


class AtOnce:
    """All the rows prepared at once; threads share products of covariances.

    One of them has the small operations that need none of these products meanwhile.

    The kernel has Gaussian functions only, and Psi2 is the same for all features.

    Parameters
    ----------
    likelihood, expectations, mu, std, Y, memory
        As in `Chunks`, with memory for all the rows, or none.
    """

    def __init__(self, likelihood, expectations, mu, std, Y, memory):
        self._likelihood, self._expectations = likelihood, expectations
        self._mu, self._std, self._S, self._Y = mu, std, std**2, Y
        self._rows = expectations.rows(mu, self._S, memory if len(memory) else None)

    def add_up(self, map_spans, spans, beside):
        """As `Chunks.add_up`."""
        rows, Y = self._rows, self._Y

        def add_up(span):
            totals = rows.totals(span)  # first: psi1 is there when they are
            return [rows.psi1[span].T @ Y[span], *totals]

        (_, done), *parts = _map_beside(
            map_spans, lambda: (rows.psi1, beside()), add_up, spans
        )
        psi0 = self._likelihood.sum_psi0(slice(0, len(Y)), rows)
        return [psi0, *sum_parts(parts)], done

    def pull(self, map_spans, spans, gradient, beside):
        """As `Chunks.pull`."""
        rows, n = self._rows, len(self._Y)
        shared = self._likelihood.shared(gradient["Psi2"])
        weighed = self._expectations.weighed(shared)
        rows.make_room()

        def small():
            of_psi1 = rows.pull_psi1(self._Y @ gradient["P"].T)
            return of_psi1, standard_normal_divergence(self._mu, self._S), beside()

        (of_psi1, (divergence, *prior), done), *_ = _map_beside(
            map_spans,
            small,
            lambda some: rows.pull_shared(weighed, some),
            row_blocks(n, _PULLED_ROWS),
        )
        dpsi0 = self._likelihood.of_rows(slice(0, n), gradient["psi0"])
        *part, sums = rows.gather(dpsi0, of_psi1)
        return [divergence.sum(), *sums], *_less_prior(part, prior, self._std), done


def _map_beside(map_blocks, beside, function, blocks):
    """``[beside(), *map(function, blocks)]``, by threads that take what is next."""
    tasks = [beside, *(partial(function, block) for block in blocks)]
    return map_blocks(lambda task: task(), tasks)


def _less_prior(part, prior, std):
    """Gradients of means and deviations, from two of means and variances."""
    # S = std^2.
    dmu, dS = (np.subtract(*pair, order="C") for pair in zip(part, prior, strict=True))
    dS *= 2.0 * std
    return dmu, dS
