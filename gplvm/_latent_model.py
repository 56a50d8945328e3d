"""What a fitted latent model does with rows: project, reconstruct, score, sample."""

import numpy as np
from scipy.sparse import issparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from gplvm._centred import CentredSparse
from gplvm._imputation import Imputation
from gplvm._parallel import whole_tiles
from gplvm._projection import (
    apart_starts,
    equal_neighbors,
    equal_rows,
    laplace_covariance,
    nearest_rows,
    project_rows,
)
from gplvm._validation import (
    FAR_POSITIONS,
    FAR_ROWS,
    checked_array,
    finite_or_refused,
    validated,
)
from gplvm.gradients.prediction import cloud_log_density, standard_normal

# New rows start from so many of the nearest training rows, densest first, that lie so
# far apart in latent space (in its spread). Where their walks end, the density p(x) of
# the positions counts too: a model that extrapolates finds places far from all training
# rows at which a row is dense by chance, and its hidden entries come back worse.
_N_STARTS = 4
_APART = 0.25
_N_NEIGHBORS = 10

# Positions are drawn from a normal around a training position, of this share of the
# spread of all: the cloud with its holes, a little smoothed.
_CLOUD_STEP = 0.1

# New rows may be so many standard deviations of the noise away: the gradient of their
# density, squared, does not overflow.
_FARTHEST = 1e50


class LatentModel(
    Imputation,
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Base of the latent models.

    A subclass's `fit` leaves `_posterior`, whose ``log_density(X, Y)`` and
    ``predict(X)`` are in centred data, `_mean`, `_embedding` in double precision, and
    `_training_rows`, the centred data with NaN where they are missing,
    `_latent_prior`, None or "normal", and `_back_constraint`, None or the mapping with
    its parameters, shift and rotation.
    """

    @finite_or_refused(FAR_ROWS)
    def transform(self, X, return_std=False):
        """Latent positions of rows, seen or unseen.

        A new row's position maximises its predictive density log p(y | x), by BFGS
        from the positions of its nearest training rows; of several maxima, the one is
        taken where log p(y | x) + log p(x) is highest, with the density p(x) of
        `sample`. Each row is treated by itself, and entries that are NaN drop out. A
        row of the training data gets its fitted position, which maximises the
        predictive density given the *other* rows: it does not count twice. With a back
        constraint, positions are one pass of it.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Data rows.

        return_std : bool, default=False
            Whether to return the standard deviations too.

        Returns
        -------
        embedding : ndarray of shape (n_rows, n_components)
            Latent positions.

        std : ndarray of shape (n_rows, n_components)
            Their standard deviations by Laplace's approximation: from the curvature of
            the density at its maximum, at most the spread of the training positions.
            Positions of training rows and of back constraints are no maxima of that
            density: theirs is approximate. Only if `return_std`.

        Raises
        ------
        ValueError
            If a row has no observed entry, or is so far from the training data that
            its density underflows, or the number of features is wrong.
        """
        positions, Y, dtype = self._project(X)
        if not return_std:
            return positions.astype(dtype)
        covariance = laplace_covariance(
            self._log_posterior, positions, Y, spread=self._spread()
        )
        std = np.sqrt(np.einsum("nqq->nq", covariance))
        return positions.astype(dtype), std.astype(dtype)

    @finite_or_refused(FAR_ROWS)
    def score_samples(self, X):
        """Log density of each row under the model.

        The position of a new row is unknown and integrated out, by Laplace's
        approximation around its projection: log p(y) = log p(y | x) + log p(x) +
        log det(2 pi S) / 2, with S from the curvature of log p(y | x). The density p(x)
        is that of `sample`.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Data rows; the density is that of the entries that are not NaN.

        Returns
        -------
        log_density : ndarray of shape (n_rows,)
            log p(y), in nats.

        Raises
        ------
        ValueError
            As `transform` does.
        """
        positions, Y, _ = self._project(X)
        log_density, _ = self._posterior.log_density(positions, Y)
        covariance = laplace_covariance(
            self._posterior.log_density, positions, Y, spread=self._spread()
        )
        # A position is never known better than to rounding.
        least = (np.finfo(float).eps * self._spread()) ** 2
        axes = np.maximum(np.linalg.eigvalsh(covariance), least)
        log_volume = 0.5 * np.log(2.0 * np.pi * axes).sum(axis=1)
        return log_density + self._log_density_of_positions(positions) + log_volume

    def score(self, X, y=None):
        """Mean log density of the rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Data rows.

        y : None
            Ignored.

        Returns
        -------
        log_density : float
            Mean of `score_samples`, in nats.
        """
        return float(np.mean(self.score_samples(X)))

    @finite_or_refused(FAR_POSITIONS)
    def inverse_transform(self, Z, return_std=False):
        """Data rows at latent positions.

        Parameters
        ----------
        Z : array-like of shape (n_rows, n_components)
            Latent positions.

        return_std : bool, default=False
            Whether to return the standard deviation too.

        Returns
        -------
        X : ndarray of shape (n_rows, n_features)
            Predictive mean.

        std : ndarray of shape (n_rows, n_features)
            Predictive standard deviation, noise included: that of a new observation.
            Where all features share it, it is a read-only broadcast. It takes the
            position as known, so at projected rows it is somewhat too small. Only if
            `return_std`.

        Raises
        ------
        ValueError
            If `Z` has another number of columns than the embedding, or the result is
            not finite.
        """
        check_is_fitted(self)
        Z = checked_array(Z, dtype=[np.float64, np.float32], input_name="Z")
        n_components = self._n_features_out
        if Z.shape[1] != n_components:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, expected n_components={n_components}"
            )
        mean, variance = self._posterior.predict(Z.astype(float))
        mean = (mean + self._mean).astype(Z.dtype)
        if not return_std:
            return mean
        std = np.sqrt(variance).astype(Z.dtype)
        if std.ndim == 1:
            std = std[:, None]
        return mean, np.broadcast_to(std, mean.shape)

    def sample(self, n_samples=1, random_state=None):
        """Draw data rows from the model.

        A position is drawn from the cloud of the training positions (one of them, plus
        a normal step of a tenth of their spread), or from the latent prior if there is
        one; then each feature from its predictive density there, noise included.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.

        random_state : int, RandomState instance or None, default=None
            Source of the draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Data rows.

        Raises
        ------
        ValueError
            If `n_samples` is less than 1.
        """
        check_is_fitted(self)
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}")
        rng = check_random_state(random_state)
        Z = rng.normal(size=(n_samples, self._n_features_out))
        if self._latent_prior is None:
            rows = rng.randint(len(self._embedding), size=n_samples)
            Z = self._embedding[rows] + _CLOUD_STEP * self._spread() * Z
        mean, std = self.inverse_transform(Z, return_std=True)
        return mean + std * rng.normal(size=mean.shape)

    def _log_density_of_positions(self, X):
        """log p(x) (B,) of the density that `sample` draws positions from."""
        if self._latent_prior is not None:
            return standard_normal(X)[0]
        return cloud_log_density(X, self._embedding, _CLOUD_STEP * self._spread())

    def _spread(self):
        return self._embedding.std(axis=0).max() or 1.0

    def _checked_rows(self, X):
        """Rows of at least one entry each, centred, and the dtype of the answer."""
        check_is_fitted(self)
        data = validated(
            self,
            X,
            accept_sparse=["csr", "csc"] if self._accepts_sparse() else False,
            dtype=[np.float64, np.float32],
            reset=False,
            ensure_all_finite="allow-nan",
        )
        rows = data.toarray() if issparse(data) else data
        with np.errstate(over="ignore"):
            # In one order, whatever that of X: sums of the same rows are the same.
            Y = rows.astype(float, order="C") - self._mean
        empty = np.flatnonzero(np.isnan(Y).all(axis=1))
        if empty.size:
            raise ValueError(f"row {empty[0]} of X has no observed entry")
        self._refuse_far(Y)
        return Y, data.dtype

    def _refuse_far(self, Y, farthest=_FARTHEST, why="its density underflows"):
        """Raise a ValueError if a centred row is so many noise deviations away."""
        distance = np.nanmax(np.abs(Y), axis=1)
        far = np.flatnonzero(distance > farthest * np.sqrt(self.noise_variance_))
        if far.size:
            raise ValueError(
                f"row {far[0]} of X is too far from the training data: {why}"
            )

    def _project(self, X):
        """Positions, centred rows, and the dtype of the answer."""
        Y, dtype = self._checked_rows(X)
        if self._back_constraint is not None:
            return self._back_constrained(Y), Y, dtype
        training = self._training_rows
        neighbors = nearest_rows(Y, training, min(_N_NEIGHBORS, len(training)))
        if isinstance(training, CentredSparse):
            owner = equal_neighbors(Y, neighbors, training)
        else:
            owner = equal_rows(Y, training)
        positions, new = self._embedding[owner], owner < 0
        if new.any():
            positions[new] = project_rows(
                self._log_posterior,
                Y[new],
                self._starts(Y[new], neighbors[new]),
                spread=self._spread(),
                # A latent prior is part of the objective already.
                judge=None if self._latent_prior else self._log_density_of_positions,
            )
        return positions, Y, dtype

    def _back_constrained(self, Y):
        """Positions by the mapping, in the orientation of the embedding."""
        if np.isnan(Y).any():
            raise ValueError("a back-constrained model needs complete rows; X has NaN")
        mapping, parameters, shift, rotation = self._back_constraint
        positions = mapping(parameters, Y[whole_tiles(np.arange(len(Y)))])
        return ((positions - shift) @ rotation)[: len(Y)]

    def _log_posterior(self, X, Y):
        """log p(y | x), plus the log prior if any, row by row, and its gradient."""
        value, gradient = self._posterior.log_density(X, Y)
        if self._latent_prior is not None:
            prior, slope = standard_normal(X)
            value, gradient = value + prior, gradient + slope
        return value, gradient

    def _starts(self, Y, neighbors):
        """Starts of each row: neighbours of high density that lie apart."""
        n_rows, n_neighbors = neighbors.shape
        candidates = self._embedding[neighbors]
        density, _ = self._log_posterior(
            candidates.reshape(n_rows * n_neighbors, -1),
            np.repeat(Y, n_neighbors, axis=0),
        )
        return apart_starts(
            candidates,
            density.reshape(n_rows, n_neighbors),
            n_starts=_N_STARTS,
            distance=_APART * self._spread(),
        )

    def _accepts_sparse(self):
        """Whether sparse matrices are taken; a subclass with a reason says so."""
        return False

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = self._accepts_sparse()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
