"""The linear autoencoder by L-BFGS, beside PCA by eigendecomposition."""

from _report import Table, at_most, in_words, milliseconds
from _timing import race, ratio, timed
from sklearn.decomposition import PCA

from gplvm import LinearAutoencoder
from gplvm.datasets import make_creatures

HEADING = "Linear autoencoder: end to end"
TARGET = 2.0


def run(options):
    n = 1000 if options.quick else 10_000
    X = make_creatures(n, image_size=28, random_state=0).data
    table = Table(
        f"Fit of {n} x 784",
        [
            "components",
            "autoencoder, ms",
            "PCA, ms",
            "autoencoder / PCA",
            "target <= 2",
            "iterations",
            "relative excess of the loss",
        ],
        """`LinearAutoencoder(solver="lbfgs")` from random weights against
        `PCA(svd_solver="covariance_eigh")`, both from the raw array to the fitted
        estimator. The excess is that of the reconstruction error over PCA's.
        Both form the same 784 x 784 matrix, which is most of the work; the table says
        nothing about data with many more features.""",
    )
    for m in (2, 10, 32):
        fits = {}

        def autoencoder(m=m, fits=fits):
            model = LinearAutoencoder(m, solver="lbfgs", random_state=len(fits))
            fits[len(fits)] = model.fit(X)

        def pca(m=m):
            return PCA(m, svd_solver="covariance_eigh").fit(X)

        seconds = race({"ours": timed(autoencoder), "PCA": timed(pca)}, options.repeats)
        relative = ratio(seconds["ours"], seconds["PCA"])
        reference = pca()
        decoded = reference.inverse_transform(reference.transform(X))
        least = 0.5 * ((X - decoded) ** 2).sum() / n
        excess = max(model.loss_ for model in fits.values()) / least - 1
        iterations = sorted(model.n_iter_ for model in fits.values())
        table.rows.append(
            [
                m,
                milliseconds(seconds["ours"]),
                milliseconds(seconds["PCA"]),
                in_words(relative),
                at_most(relative, TARGET),
                f"{iterations[0]} to {iterations[-1]}",
                f"{excess:.0e}",
            ]
        )
    return [table]
