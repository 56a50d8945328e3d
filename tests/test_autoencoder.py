"""The autoencoder against PCA, and against what scikit-learn expects."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.linalg import hadamard, subspace_angles
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from gplvm._autoencoder import LinearAutoencoder
from gplvm.gradients.autoencoder import ACTIVATIONS, autoencoder_loss

NONLINEAR = sorted(set(ACTIVATIONS) - {"identity"})


@parametrize_with_checks(
    [
        LinearAutoencoder(),
        LinearAutoencoder(activation="tanh"),
        LinearAutoencoder(solver="eigen"),
        LinearAutoencoder(solver="adam", tol=1e-2),
        LinearAutoencoder(activation="swish", solver="adam", tol=1e-2),
    ]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


def _data(n=60, p=8, seed=0, scale=1.0):
    """Correlated, off centre, with distinct variances."""
    rng = np.random.default_rng(seed)
    mix = np.linalg.qr(rng.normal(size=(p, p)))[0] * 1.3 ** -np.arange(p)
    return scale * (rng.normal(size=(n, p)) @ mix.T + rng.normal(size=p))


def _spectrum(values, n=200, seed=0):
    """Data whose centred Gram matrix has exactly these eigenvalues."""
    rng = np.random.default_rng(seed)
    raw = rng.normal(size=(n, len(values)))
    U = np.linalg.qr(raw - raw.mean(axis=0))[0]
    Q = np.linalg.qr(rng.normal(size=(len(values), len(values))))[0]
    return (U * np.sqrt(values)) @ Q.T


def _pca_loss(X, m):
    pca = PCA(m, svd_solver="full").fit(X)
    residual = pca.inverse_transform(pca.transform(X)) - X
    return 0.5 * np.sum(residual**2) / len(X)


def _assert_is_pca(autoencoder, X, m, *, columns_atol=1e-6):
    pca = PCA(m, svd_solver="full").fit(X)
    W = autoencoder.components_
    assert_allclose(W @ W.T, np.eye(m), atol=1e-12)
    assert subspace_angles(W.T, pca.components_.T).max() < columns_atol
    assert_allclose(W, pca.components_, atol=columns_atol)
    spread = np.abs(X - X.mean(axis=0)).max()
    assert_allclose(
        autoencoder.transform(X), pca.transform(X), atol=10 * columns_atol * spread
    )
    total = np.sum((X - X.mean(axis=0)) ** 2) / len(X)
    assert_allclose(autoencoder.loss_, _pca_loss(X, m), rtol=1e-9, atol=1e-14 * total)


@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1.0, 1e8, 1e150])
@pytest.mark.parametrize("shape", [(80, 7), (7, 80), (20, 20), (130, 110), (120, 300)])
@pytest.mark.parametrize("solver", ["lbfgs", "eigen"])
def test_reaches_pca_from_a_random_start(shape, scale, solver):
    X = _data(*shape, scale=scale)
    for seed in range(5):
        autoencoder = LinearAutoencoder(3, solver=solver, random_state=seed).fit(X)
        _assert_is_pca(autoencoder, X, 3)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    n=st.integers(2, 30),
    p=st.integers(2, 30),
    m=st.integers(1, 30),
    rank=st.integers(1, 30),
    power=st.integers(-8, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_loss_is_that_of_pca_on_any_data(n, p, m, rank, power, seed):
    m = min(m, n, p)
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, p)) + rng.normal(size=p)
    X *= 10.0**power
    autoencoder = LinearAutoencoder(m, random_state=seed).fit(X)
    total = np.sum((X - X.mean(axis=0)) ** 2) / n
    assert_allclose(autoencoder.loss_, _pca_loss(X, m), rtol=1e-6, atol=1e-13 * total)
    W = autoencoder.components_
    assert_allclose(W @ W.T, np.eye(m), atol=1e-10)
    exact = LinearAutoencoder(m, solver="eigen").fit(X)
    assert_allclose(exact.loss_, autoencoder.loss_, rtol=1e-6, atol=1e-13 * total)


SPECTRA = {
    "leading variances over six decades": (10.0 ** (-0.6 * np.arange(20)), 10),
    "a plateau after six decades": (
        np.r_[10.0 ** -np.arange(0, 7, 1.5), [1e-7] * 30],
        5,
    ),
    "one huge variance": (np.r_[1e6, np.linspace(2, 1, 39)], 3),
    "a near tie at the cut": (np.r_[10, 10, 10, 1.001, np.linspace(1, 0.1, 40)], 4),
    "a tie at the cut": (np.r_[5.0, 3.0, 2.0, 2.0, 2.0, 1.0], 3),
    "all equal": (np.ones(12), 4),
    "rank below n_components": (np.r_[3.0, 2.0, np.zeros(6)], 4),
    "rank equal to n_components": (np.r_[3.0, 2.0, 1e-3, np.zeros(6)], 3),
    "many axes, falling slowly": (1.0 / np.arange(1, 151), 40),
    "many axes over seven decades": (10.0 ** (-0.05 * np.arange(150)), 60),
    "many axes, the rest alike": (np.r_[np.linspace(5, 2, 30), np.ones(100)], 40),
    "many axes of low rank": (np.r_[3.0, 2.0, 1e-3, np.zeros(120)], 10),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_half_the_sum_of_the_remaining_eigenvalues(name):
    """Baldi and Hornik (1989), however hard the spectrum, in few iterations."""
    values, m = SPECTRA[name]
    X = _spectrum(values)
    expected = 0.5 * np.sort(values)[::-1][m:].sum() / len(X)
    total = values.sum() / len(X)
    for seed in range(5):
        fitted = LinearAutoencoder(m, random_state=seed, max_iter=250).fit(X)
        assert_allclose(fitted.loss_, expected, rtol=1e-6, atol=1e-14 * total)
        assert_allclose(
            fitted.components_ @ fitted.components_.T, np.eye(m), atol=1e-12
        )


def test_few_iterations_find_many_axes():
    """Where the variances fall by a hundredth at the cut: a plain walk takes 80."""
    X = _spectrum(np.arange(1, 151) ** -0.5)
    for seed in range(3):
        fitted = LinearAutoencoder(60, random_state=seed).fit(X)
        assert fitted.n_iter_ < 28
        angles = subspace_angles(fitted.components_.T, PCA(60).fit(X).components_.T)
        assert angles.max() < 1e-5


def test_loss_curve_descends_to_the_loss():
    X = _data()
    fitted = LinearAutoencoder(2, random_state=0).fit(X)
    curve = np.array(fitted.loss_curve_)
    assert len(curve) == fitted.n_iter_
    assert (np.diff(curve) <= 1e-14 * curve[0]).all()
    assert_allclose(curve[-1], fitted.loss_, rtol=1e-10)
    start = LinearAutoencoder(2, random_state=0).fit(X)
    assert_array_equal(start.components_, fitted.components_)


def test_loss_and_score_are_what_they_say():
    X = _data()
    fitted = LinearAutoencoder(2, random_state=0).fit(X)
    error = fitted.inverse_transform(fitted.transform(X)) - X
    assert_allclose(fitted.loss_, 0.5 * np.sum(error**2) / len(X))
    assert_allclose(fitted.score(X), -np.mean(error**2))
    assert_allclose(fitted.score(X), -2 * fitted.loss_ / X.shape[1])
    many = np.tile(X, (40, 1))  # more than one chunk of rows
    assert_allclose(fitted.score(many), fitted.score(X))


@pytest.mark.parametrize("shape", [(60, 8), (8, 60)])
@pytest.mark.parametrize("solver", ["lbfgs", "eigen"])
def test_penalised_optimum(shape, solver):
    X = _data(*shape)
    variances = PCA().fit(X).explained_variance_ * (len(X) - 1) / len(X)
    alpha = 2 * np.sqrt(variances[1] * variances[2])  # the third axis switches off
    fitted = LinearAutoencoder(3, alpha=alpha, solver=solver, random_state=0).fit(X)
    loss, gradient = autoencoder_loss(
        fitted.components_,
        X - X.mean(axis=0),
        alpha=alpha * len(X),
        eval_gradient=True,
    )
    assert np.abs(gradient).max() < 1e-6 * len(X) * variances[0]
    assert_allclose(fitted.loss_, loss / len(X), rtol=1e-9)
    lengths = np.square(fitted.components_).sum(axis=1)
    expected = np.maximum(1 - alpha / (2 * variances[:3]), 0)
    assert_allclose(lengths, expected, atol=1e-10)
    assert expected[2] == 0 < expected[1] < 1


def test_sparse_equals_dense():
    rng = np.random.default_rng(0)
    for shape in [(50, 12), (12, 50)]:
        X = rng.poisson(0.5, size=shape) * rng.gamma(1.0, size=shape[1])
        dense = LinearAutoencoder(3, random_state=0).fit(X)
        for form in (sparse.csr_array, sparse.csc_matrix):
            S = form(X)
            fitted = LinearAutoencoder(3, random_state=0).fit(S)
            assert_allclose(fitted.components_, dense.components_, atol=1e-6)
            assert_allclose(fitted.transform(S), dense.transform(X), atol=1e-5)
            assert_allclose(fitted.score(S), dense.score(X), rtol=1e-9)


@pytest.mark.parametrize("activation", ["identity", "swish"])
@pytest.mark.parametrize("shape", [(60, 8), (8, 60)])
def test_float32_stays_float32(shape, activation):
    X = _data(*shape).astype(np.float32)
    fitted = LinearAutoencoder(2, activation=activation, random_state=0).fit(X)
    Z = fitted.transform(X)
    decoded = fitted.inverse_transform(Z)
    for array in (fitted.components_, fitted.mean_, Z, decoded):
        assert array.dtype == np.float32
    if activation == "identity":
        assert_allclose(fitted.loss_, _pca_loss(X.astype(float), 2), rtol=1e-6)


@pytest.mark.parametrize("activation", NONLINEAR)
def test_other_activations_reach_a_minimum(activation):
    X = load_digits().data[:150, 16:40] / 16.0
    fitted = LinearAutoencoder(
        5, activation=activation, alpha=1e-3, tol=1e-9, max_iter=3000, random_state=0
    ).fit(X)
    loss, gradient = autoencoder_loss(
        fitted.components_,
        X,
        activation=activation,
        alpha=1e-3 * len(X),
        eval_gradient=True,
    )
    assert_allclose(fitted.loss_, loss / len(X))
    if activation != "relu":  # its minima may lie in a kink
        assert np.abs(gradient).max() < 1e-2 * np.sum(X**2) / len(X)
    assert_array_equal(fitted.mean_, 0)
    code = fitted.transform(X)
    assert (np.diff(np.square(code).mean(axis=0)) <= 0).all()
    error = fitted.inverse_transform(code) - X
    assert_allclose(fitted.score(X), -np.mean(error**2))
    assert fitted.loss_curve_[0] > fitted.loss_curve_[-1]


def test_warm_start_continues():
    X = _data()
    fitted = LinearAutoencoder(2, warm_start=True, random_state=0).fit(X)
    first, components = fitted.n_iter_, fitted.components_
    fitted.fit(X)
    assert fitted.n_iter_ < first / 2
    assert_allclose(fitted.components_, components, atol=1e-6)
    wide = LinearAutoencoder(2, warm_start=True, random_state=0).fit(_data(6, 20))
    assert wide.fit(_data(6, 20)).n_iter_ < first / 2
    _assert_is_pca(wide.fit(_data(30, 20, seed=1)), _data(30, 20, seed=1), 2)
    # Rows that a penalty had switched off come back.
    shrunk = LinearAutoencoder(2, alpha=1e6, warm_start=True, random_state=0).fit(X)
    assert not shrunk.components_.any()
    _assert_is_pca(shrunk.set_params(alpha=0.0).fit(X), X, 2)
    # Also where coordinate axes are stationary, but the first ones not the best.
    columns = hadamard(8)[:, 1:5] * [1.0, 2.0, 3.0, 4.0]
    shrunk.set_params(alpha=1e6, warm_start=False).fit(columns)
    shrunk.set_params(alpha=0.0, warm_start=True).fit(columns)
    _assert_is_pca(shrunk, columns, 2)
    with pytest.raises(ValueError, match=r"\(3, 8\).*\(2, 8\)"):
        fitted.set_params(n_components=3).fit(X)


def test_bad_input_is_named():
    X = _data(6, 4)
    for shape, m in [((6, 4), 5), ((3, 9), 4)]:
        with pytest.raises(ValueError, match=f"n_components={m} .*={min(shape)}; X"):
            LinearAutoencoder(m).fit(_data(*shape))
    with pytest.raises(ValueError, match="eigen' needs activation='identity'"):
        LinearAutoencoder(activation="tanh", solver="eigen").fit(X)
    fitted = LinearAutoencoder(2).fit(X)
    with pytest.raises(ValueError, match=r"X has 3 columns.*n_components=2"):
        fitted.inverse_transform(np.ones((2, 3)))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csc_array])
def test_missing_values_are_referred_to_the_gp_models(form):
    X = _data()
    model = LinearAutoencoder(2).fit(X)
    gaps, infinite = X.copy(), X.copy()
    gaps[3, 1], infinite[3, 1] = np.nan, np.inf
    words = (
        r"^Input X contains NaN\. LinearAutoencoder does not accept missing values; "
        r"gplvm\.GPLVM does\.$"
    )
    for call in (LinearAutoencoder(2).fit, model.transform, model.score):
        with pytest.raises(ValueError, match=words):
            call(form(gaps))
        with pytest.raises(ValueError, match=r"^Input X contains infinity"):
            call(form(infinite))


def test_constant_data_and_a_single_row_fit():
    for X in (np.full((5, 3), 7.0), np.ones((1, 4))):
        fitted = LinearAutoencoder(1, random_state=0).fit(X)
        assert fitted.loss_ == 0.0
        assert_allclose(fitted.inverse_transform(fitted.transform(X)), X)
        assert len(fitted.loss_curve_) == fitted.n_iter_ >= 1


def test_too_few_iterations_warn_and_leave_a_fit():
    X = _data()
    with pytest.warns(ConvergenceWarning, match=r"LinearAutoencoder .* max_iter"):
        fitted = LinearAutoencoder(2, max_iter=3, random_state=0).fit(X)
    assert fitted.n_iter_ == 3
    assert fitted.transform(X).shape == (60, 2)


def test_ctrl_c_leaves_a_fit(monkeypatch):
    from gplvm import _linear_autoencoder

    X = _data()
    genuine, calls = _linear_autoencoder.subspace_autoencoder_loss, []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return genuine(*args, **kwargs)

    monkeypatch.setattr(_linear_autoencoder, "subspace_autoencoder_loss", interrupted)
    with pytest.warns(ConvergenceWarning, match="LinearAutoencoder was interrupted"):
        fitted = LinearAutoencoder(2, random_state=0).fit(X)
    assert_allclose(fitted.components_ @ fitted.components_.T, np.eye(2), atol=1e-12)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"solver": "eigen"}, {"activation": "swish", "tol": 1e-4}],
)
@pytest.mark.parametrize("shape", [(60, 8), (8, 60), (150, 120)])
def test_callbacks_see_every_iteration(parameters, shape):
    X = _data(*shape)
    monitor = ScoringMonitor(scoring={"score": lambda model, X, y: model.score(X)})
    fitted = LinearAutoencoder(2, random_state=0, **parameters)
    fitted.set_callbacks(monitor).fit(X, np.zeros(len(X)))  # it scores only with a y
    scores = [
        entry["score"]
        for entry in monitor.get_logs().data
        if entry["task_name"] == "iteration"
    ]
    assert len(scores) == fitted.n_iter_
    expected = -2 * np.array(fitted.loss_curve_) / X.shape[1]
    assert_allclose(scores, expected, rtol=1e-6)


def test_verbose_prints(capsys):
    LinearAutoencoder(2, verbose=2, random_state=0).fit(_data())
    assert "Iteration 1, loss = " in capsys.readouterr().out


def test_in_pipelines_searches_frames_and_pickles():
    X = _data()
    pipeline = make_pipeline(StandardScaler(), LinearAutoencoder(random_state=0))
    search = GridSearchCV(
        pipeline, {"linearautoencoder__n_components": [1, 2, 4]}, cv=3
    ).fit(X)
    assert search.best_params_ == {"linearautoencoder__n_components": 4}

    fitted = LinearAutoencoder(2, random_state=0).set_output(transform="pandas")
    frame = fitted.fit_transform(X)
    assert list(frame.columns) == ["linearautoencoder0", "linearautoencoder1"]
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.transform(X), frame)
    assert_array_equal(clone(fitted).fit(X).components_, fitted.components_)
    assert_array_equal(fitted.fit(X).transform(X), frame)


def test_the_data_are_not_touched():
    X = _data()
    before = X.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LinearAutoencoder(2).fit(X).transform(X)
    assert_array_equal(X, before)


def _counts(n=300, p=40, seed=0):
    """Sparse counts with some strong topics."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.3, size=(n, 3)) @ rng.gamma(0.2, size=(3, p))
    return rng.poisson(rate).astype(float)


DATA = {
    "tall": _data(90, 8),
    "wide": _data(8, 90),
    "square": _data(20, 20),
    "rank below the rows": _data(40, 4) @ _data(4, 15),
    "sparse tall": sparse.csr_array(_counts(300, 40)),
    "sparse wide": sparse.csr_array(_counts(30, 200)),
    "sparse large": sparse.random_array(
        (700, 900), density=0.003, rng=np.random.default_rng(2), format="csr"
    ),
}


@pytest.mark.parametrize("solver", ["lbfgs", "eigen", "adam", "partial_fit"])
@pytest.mark.parametrize("name", DATA)
def test_every_solver_returns_what_pca_does(solver, name):
    X = DATA[name]
    m = 2 if name == "sparse large" else 3
    dense = X.toarray() if sparse.issparse(X) else X
    pca = PCA(m, svd_solver="full").fit(dense)
    if solver == "partial_fit":
        fitted = LinearAutoencoder(m)
        step = X.shape[0] // 8 + 1
        for start in range(0, X.shape[0], step):
            fitted.partial_fit(X[start : start + step])
    else:
        fitted = LinearAutoencoder(m, solver=solver, random_state=0).fit(X)
    W = fitted.components_
    assert_allclose(W @ W.T, np.eye(m), atol=1e-10)
    largest = np.abs(W).argmax(axis=1)
    assert (W[np.arange(m), largest] > 0).all()
    least = _pca_loss(dense, m)
    code = fitted.transform(X)
    spread = np.square(code).sum(axis=0)
    assert_allclose(code.T @ code, np.diag(spread), atol=1e-8 * spread.max())
    assert (np.diff(spread) <= 0).all()
    assert_allclose(-0.5 * X.shape[1] * fitted.score(X), fitted.loss_, rtol=1e-8)
    assert_allclose(fitted.loss_, least, rtol=1e-9)
    assert subspace_angles(W.T, pca.components_.T).max() < 1e-5
    assert_allclose(W, pca.components_, atol=1e-5)


@pytest.mark.parametrize("activation", ["identity", *NONLINEAR])
@pytest.mark.parametrize("method", ["lbfgs", "adam", "partial_fit"])
def test_sparse_equals_dense_for_every_activation(activation, method):
    X = _counts(80, 12) / 5.0
    solver = "lbfgs" if method == "lbfgs" else "adam"
    models = [
        LinearAutoencoder(
            3,
            activation=activation,
            solver=solver,
            random_state=0,
            tol=0.1,
        )
        for _ in range(2)
    ]
    for model, data in zip(models, (X, sparse.csr_array(X)), strict=True):
        if method == "partial_fit":
            model.partial_fit(data[:50]).partial_fit(data[50:])
        else:
            model.fit(data)
    dense, of_sparse = models
    assert_allclose(of_sparse.components_, dense.components_, atol=1e-6)
    assert_allclose(of_sparse.loss_, dense.loss_, rtol=1e-6)
    assert_allclose(of_sparse.score(sparse.csc_array(X)), dense.score(X), rtol=1e-6)
    code = of_sparse.transform(sparse.csr_matrix(X))
    assert_allclose(code, dense.transform(X), atol=1e-5)


@pytest.mark.parametrize("activation", NONLINEAR)
def test_adam_comes_near_a_minimum(activation):
    X = load_digits().data[:300, 16:40] / 16.0
    parameters = {"activation": activation, "alpha": 1e-3, "random_state": 0}
    adam = LinearAutoencoder(5, solver="adam", max_iter=400, tol=1e-4, **parameters)
    adam.fit(X)
    loss = autoencoder_loss(
        adam.components_, X, activation=activation, alpha=1e-3 * len(X)
    )
    assert_allclose(adam.loss_, loss / len(X))
    polished = LinearAutoencoder(
        5, warm_start=True, max_iter=500, tol=1e-6, **parameters
    )
    polished.components_ = adam.components_
    polished.fit(X)
    start = adam.loss_curve_[0]
    assert adam.loss_ - polished.loss_ < 0.2 * (start - polished.loss_)


@pytest.mark.parametrize("activation", ["identity", "swish"])
@pytest.mark.parametrize("method", ["adam", "partial_fit"])
def test_float32_stays_float32_in_batches(activation, method):
    X = _data(60, 8).astype(np.float32)
    model = LinearAutoencoder(
        2, activation=activation, solver="adam", tol=1.0, random_state=0
    )
    getattr(model, "fit" if method == "adam" else method)(X)
    for array in (model.components_, model.mean_, model.transform(X)):
        assert array.dtype == np.float32


def test_a_step_of_partial_fit_is_adams():
    """The first step has the length of the learning rate, against the gradient."""
    X = _data(40, 6)
    model = LinearAutoencoder(
        2, activation="tanh", solver="adam", alpha=0.1, tol=1.0, random_state=0
    ).fit(X)
    before = model.components_
    gradient = autoencoder_loss(
        before, X, activation="tanh", alpha=0.1 * len(X), eval_gradient=True
    )[1]
    model.set_params(learning_rate_init=1e-4, batch_size=100).partial_fit(X)
    assert_allclose(model.components_ - before, -1e-4 * np.sign(gradient), rtol=1e-3)
    assert model.n_samples_seen_ == 80
    losses = [model.partial_fit(X).loss_ for _ in range(100)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_partial_fit_is_the_fit_of_all_rows(alpha):
    X = _data(200, 6)
    model = LinearAutoencoder(2, alpha=alpha)
    for batch in np.split(X, [1, 3, 50, 120]):
        model.partial_fit(batch)
    whole = LinearAutoencoder(2, alpha=alpha, solver="eigen").fit(X)
    assert_allclose(model.components_, whole.components_, atol=1e-9)
    assert_allclose(model.mean_, whole.mean_)
    assert_allclose(model.loss_, whole.loss_)
    assert model.n_samples_seen_ == 200
    assert len(model.loss_curve_) == model.n_iter_ == 5
    again = pickle.loads(pickle.dumps(model)).partial_fit(X)
    assert_allclose(again.components_, whole.components_, atol=1e-9)


@pytest.mark.parametrize("p", [20, 1200])
def test_partial_fit_goes_on_from_a_fit(p):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 3)) @ rng.normal(size=(3, p)) + rng.normal(size=p)
    model = LinearAutoencoder(3, random_state=0).fit(X[:60])
    model.partial_fit(X[60:])
    _assert_is_pca(model, X, 3)
    noisy = X + 0.1 * rng.normal(size=X.shape)
    model = LinearAutoencoder(3, random_state=0).fit(noisy[:60])
    model.partial_fit(noisy[60:])
    assert_allclose(model.loss_, _pca_loss(noisy, 3), rtol=0.05)
    assert model.n_samples_seen_ == 90


def test_partial_fit_says_what_it_needs():
    X = _data()
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'") as caught:
        LinearAutoencoder(activation="tanh").partial_fit(X)
    assert "activation='identity' or solver='adam'" in str(caught.value.__cause__)
    assert not hasattr(LinearAutoencoder(activation="tanh"), "partial_fit")
    with pytest.raises(ValueError, match=r"n_components=9 .* n_features=8"):
        LinearAutoencoder(9).partial_fit(X)
    model = LinearAutoencoder(2).partial_fit(X)
    with pytest.raises(ValueError, match="n_components=3 differs from the 2"):
        model.set_params(n_components=3).partial_fit(X)
    for bad in ({"batch_size": 0}, {"learning_rate_init": 0.0}, {"solver": "sgd"}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            LinearAutoencoder(**bad).partial_fit(X)


def _peak(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "parameters",
    [{}, {"solver": "eigen"}, {"solver": "adam"}, {"activation": "relu"}],
    ids=str,
)
def test_mapped_data_are_not_read_into_memory(tmp_path, parameters):
    X = np.memmap(tmp_path / "X", dtype=np.float32, mode="w+", shape=(100_000, 64))
    rng = np.random.default_rng(0)
    X[:] = np.tile(rng.normal(size=(1000, 64)), (100, 1))
    few = {"max_iter": 2, "tol": 1.0, "random_state": 0, "batch_size": 5000}
    model = LinearAutoencoder(2, **few, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X[:5000])
        assert _peak(lambda: model.fit(X)) < X.nbytes
    assert _peak(lambda: model.score(X)) < X.nbytes


@pytest.mark.parametrize(
    "parameters",
    [{}, {"solver": "eigen"}, {"solver": "adam"}, {"activation": "relu"}],
    ids=str,
)
def test_sparse_data_are_not_filled(parameters):
    rng = np.random.default_rng(0)
    X = sparse.random_array((1000, 15_000), density=1e-3, rng=rng, format="csr")
    filled = 8 * np.prod(X.shape)  # 120 MB
    model = LinearAutoencoder(2, max_iter=1, tol=10.0, random_state=0, **parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert _peak(lambda: model.fit(X)) < filled / 3
    assert _peak(lambda: model.transform(X)) < filled / 20
    if model.activation == "identity":
        assert _peak(lambda: model.score(X)) < filled / 20
        streamed = LinearAutoencoder(2)
        assert _peak(lambda: streamed.partial_fit(X[:500])) < filled / 6


@pytest.mark.parametrize("activation", ["identity", "swish"])
def test_ctrl_c_keeps_the_best_epoch_of_adam(monkeypatch, activation):
    from gplvm import _autoencoder_solvers, _linear_autoencoder

    room, name = (
        (_linear_autoencoder, "centred_autoencoder_loss")
        if activation == "identity"
        else (_autoencoder_solvers, "tied_weights_loss")
    )
    genuine, calls = getattr(room, name), []

    def interrupted(*args, **kwargs):
        calls.append(1)
        if len(calls) == 40:
            raise KeyboardInterrupt
        return genuine(*args, **kwargs)

    monkeypatch.setattr(room, name, interrupted)
    model = LinearAutoencoder(2, activation=activation, solver="adam", random_state=0)
    with pytest.warns(ConvergenceWarning, match="LinearAutoencoder was interrupted"):
        model.fit(_data())
    assert model.n_iter_ == len(model.loss_curve_) == 6
    assert model.transform(_data()).shape == (60, 2)


def test_adam_warns_reports_and_continues():
    X = _data()
    model = LinearAutoencoder(2, solver="adam", max_iter=3, random_state=0)
    monitor = ScoringMonitor(scoring={"score": lambda model, X, y: model.score(X)})
    model.set_callbacks(monitor)
    with pytest.warns(ConvergenceWarning, match="3 epochs without converging"):
        model.fit(X, np.zeros(len(X)))
    scores = [
        entry["score"]
        for entry in monitor.get_logs().data
        if entry["task_name"] == "iteration"
    ]
    assert len(scores) == 3
    assert_allclose(max(scores), -2 * model.loss_ / X.shape[1], rtol=1e-6)
    first = model.loss_
    with pytest.warns(ConvergenceWarning):
        model.set_params(warm_start=True, max_iter=30).fit(X, np.zeros(len(X)))
    assert model.loss_ < first
