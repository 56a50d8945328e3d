"""One task of another package: prepares, then runs once for each line on stdin.

Run by `_peers.Peer` in the peer's interpreter, which need not have gplvm. Usage:
``peer_worker.py TASK DATA.npz THREADS``. The first line on stdout is the versions,
each further one the seconds and the result of a run, as JSON.
"""

import json
import os
import sys
import time

import numpy as np


def gpy_exact(data, threads):
    """GPy's GP-LVM with an RBF kernel: what its optimiser calls, at a new point."""
    import GPy

    X, Y = data["X"], data["Y"]
    kernel = GPy.kern.RBF(X.shape[1], variance=float(data["signal"]), lengthscale=1.0)
    kernel.lengthscale.fix()
    model = GPy.models.GPLVM(Y, X.shape[1], X=X, kernel=kernel)
    model.likelihood.variance[:] = float(data["noise"])
    start = model.optimizer_array.copy()
    points = [start * (1 + 1e-9), start]  # it caches an evaluation at the same point

    def run():
        points.reverse()
        value, _ = model._objective_grads(points[0])
        return -float(value)

    return run, {"GPy": GPy.__version__}


def gpflow_exact(data, threads):
    """GPflow's GP-LVM with an RBF kernel: the compiled loss and its gradient."""
    import gpflow
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    X, Y = data["X"], data["Y"]
    kernel = gpflow.kernels.SquaredExponential(variance=float(data["signal"]))
    gpflow.set_trainable(kernel.lengthscales, False)
    model = gpflow.models.GPLVM(Y, X.shape[1], X_data_mean=X, kernel=kernel)
    model.likelihood.variance.assign(float(data["noise"]))

    @tf.function
    def evaluate():
        with tf.GradientTape() as tape:
            loss = model.training_loss()
        return loss, tape.gradient(loss, model.trainable_variables)

    def run():
        loss, gradients = evaluate()
        for gradient in gradients:
            tf.convert_to_tensor(gradient).numpy()
        return -float(loss)

    return run, {"GPflow": gpflow.__version__, "TensorFlow": tf.__version__}


def gpy_bayesian(data, threads):
    """GPy's Bayesian GP-LVM with an RBF-ARD kernel, as its optimiser calls it."""
    import GPy

    mu, Z, Y = data["embedding"], data["inducing_points"], data["Y"]
    kernel = GPy.kern.RBF(
        mu.shape[1], float(data["signal"]), data["length_scale"], ARD=True
    )
    model = GPy.models.BayesianGPLVM(
        Y,
        mu.shape[1],
        X=mu.copy(),
        X_variance=data["embedding_std"] ** 2,
        Z=Z.copy(),
        num_inducing=len(Z),
        kernel=kernel,
    )
    model.likelihood.variance[:] = float(data["noise"])
    model.inference_method.const_jitter = float(data["jitter"] * data["signal"])
    start = model.optimizer_array.copy()
    points = [start * (1 + 1e-9), start]  # it caches an evaluation at the same point

    def run():
        points.reverse()
        value, _ = model._objective_grads(points[0])
        return -float(value)

    return run, {"GPy": GPy.__version__}


def gpflow_bayesian(data, threads):
    """GPflow's Bayesian GP-LVM with an RBF-ARD kernel: compiled loss and gradient."""
    import gpflow
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    gpflow.config.set_default_jitter(float(data["jitter"] * data["signal"]))
    model = gpflow.models.BayesianGPLVM(
        data["Y"],
        X_data_mean=tf.constant(data["embedding"]),
        X_data_var=tf.constant(data["embedding_std"] ** 2),
        kernel=gpflow.kernels.SquaredExponential(
            variance=float(data["signal"]), lengthscales=data["length_scale"]
        ),
        inducing_variable=data["inducing_points"],
    )
    model.likelihood.variance.assign(float(data["noise"]))

    @tf.function
    def evaluate():
        with tf.GradientTape() as tape:
            loss = model.training_loss()
        return loss, tape.gradient(loss, model.trainable_variables)

    def run():
        loss, gradients = evaluate()
        for gradient in gradients:
            tf.convert_to_tensor(gradient).numpy()
        return -float(loss)

    return run, {"GPflow": gpflow.__version__, "TensorFlow": tf.__version__}


def gpy_fit(data, threads):
    """A fit of GPy's Bayesian GP-LVM from its own start: bound, plane, relevances."""
    import GPy

    def run():
        np.random.seed(int(data["seed"]))  # noqa: NPY002 (what GPy draws from)
        q = int(data["n_components"])
        model = GPy.models.BayesianGPLVM(
            data["Y"],
            q,
            num_inducing=int(data["n_inducing"]),
            kernel=GPy.kern.RBF(q, ARD=True),
        )
        model.optimize(max_iters=int(data["iterations"]))
        relevance = 1.0 / np.asarray(model.kern.lengthscale) ** 2
        leading = np.argsort(-relevance)[:2]
        plane = np.asarray(model.X.mean)[:, leading]
        bound = float(np.squeeze(model.log_likelihood()))
        return bound, plane.tolist(), relevance.tolist()

    return run, {"GPy": GPy.__version__}


def gpflow_fit(data, threads):
    """The same of GPflow's, from the start of its documentation."""
    import gpflow
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)

    def run():
        Y, q = data["Y"], int(data["n_components"])
        X = gpflow.utilities.ops.pca_reduce(tf.convert_to_tensor(Y), q)
        shuffled = np.random.default_rng(int(data["seed"])).permutation(X.numpy())
        model = gpflow.models.BayesianGPLVM(
            Y,
            X_data_mean=X,
            X_data_var=tf.ones(X.shape, dtype=tf.float64),
            kernel=gpflow.kernels.SquaredExponential(lengthscales=np.ones(q)),
            inducing_variable=shuffled[: int(data["n_inducing"])],
        )
        model.likelihood.variance.assign(0.01)
        gpflow.optimizers.Scipy().minimize(
            model.training_loss,
            model.trainable_variables,
            options={"maxiter": int(data["iterations"])},
        )
        relevance = 1.0 / model.kernel.lengthscales.numpy() ** 2
        leading = np.argsort(-relevance)[:2]
        plane = model.X_data_mean.numpy()[:, leading]
        return float(model.elbo()), plane.tolist(), relevance.tolist()

    return run, {"GPflow": gpflow.__version__, "TensorFlow": tf.__version__}


def torch_network(data, threads):
    """SiLU network, softmax cross-entropy, Adam (fused): `epochs` from the start."""
    import torch

    torch.set_num_threads(threads)
    X, y = torch.from_numpy(data["X"]), torch.from_numpy(data["y"])
    X_test = torch.from_numpy(data["X_test"])
    n_hidden, n_classes = int(data["n_hidden"]), int(y.max()) + 1
    batch, epochs = int(data["batch_size"]), int(data["epochs"])

    def run():
        torch.manual_seed(int(data["seed"]))
        network = torch.nn.Sequential(
            torch.nn.Linear(X.shape[1], n_hidden),
            torch.nn.SiLU(),
            torch.nn.Linear(n_hidden, n_classes),
        )
        loss_of = torch.nn.CrossEntropyLoss()
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
        for _ in range(epochs):
            for rows in torch.randperm(len(X)).split(batch):
                optimizer.zero_grad()
                loss_of(network(X[rows]), y[rows]).backward()
                optimizer.step()
        with torch.no_grad():
            return network(X_test).argmax(1).tolist()

    return run, {"torch": torch.__version__}


TASKS = {
    "GPy": gpy_exact,
    "GPflow": gpflow_exact,
    "GPy Bayesian": gpy_bayesian,
    "GPflow Bayesian": gpflow_bayesian,
    "GPy fit": gpy_fit,
    "GPflow fit": gpflow_fit,
    "torch": torch_network,
}


def main(task, path, threads):
    # Whatever a package prints goes to stderr: stdout is for answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with np.load(path) as archive:
        data = dict(archive)
    run, versions = TASKS[task](data, threads)

    def answer(content):
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    answer(versions)
    for _ in sys.stdin:
        start = time.perf_counter()
        value = run()
        answer({"seconds": time.perf_counter() - start, "value": value})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
