"""The demo's pictures, as PNG files."""

from gplvm.plotting import (
    LatentSpaceDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
)
from gplvm.plotting._sheets import (
    confusion_matrix,
    embedding_panels,
    image_sheet,
    large_axes,
    save_figure,
)

# File name and the heading under which the report shows it.
PICTURES = {
    "samples": "samples.png",
    "embeddings": "embeddings.png",
    "plane": "latent-plane.png",
    "reconstructions": "reconstructions.png",
    "losses": "loss-curves.png",
    "confusion": "confusion.png",
}


def draw_pictures(folder, parts, classifiers, embeddings):
    """Draw and write every picture.

    Parameters
    ----------
    folder : Path
        Where to write.

    parts : Parts
        The images.

    classifiers, embeddings : list of Fit
        As `classify` and `embed` return them.
    """
    fits = {fit.numbers["name"]: fit for fit in [*classifiers, *embeddings]}
    names = parts.target_names
    X_test, y_test = parts.data[parts.test], parts.target[parts.test]
    image_shape = parts.images.shape[1:]
    sheet = image_sheet(parts.images[parts.train], parts.target[parts.train], names)
    save_figure(sheet, folder / PICTURES["samples"])

    panels = {
        "Linear autoencoder": "Linear autoencoder",
        "Linear GP-LVM": "Linear GP-LVM",
        "RBF GP-LVM": "RBF GP-LVM",
        "Hidden layer, leading plane": "Hidden layer of the swish network (has seen "
        "labels)",
    }
    figure = embedding_panels(
        {title: (fits[name].latent, y_test) for name, title in panels.items()},
        label_names=names,
    )
    save_figure(figure, folder / PICTURES["embeddings"])

    rbf = fits["RBF GP-LVM"].model
    display = LatentSpaceDisplay.from_estimator(
        rbf,
        parts.data[parts.embedded],
        parts.target[parts.embedded],
        images=parts.images[parts.embedded],
        label_names=names,
        thumbnails=50,
        thumbnail_size=0.068,
        ax=large_axes(),
    )
    save_figure(display.figure_, folder / PICTURES["plane"])

    models = {
        name: fits[name].model
        for name in ("PCA", "Linear autoencoder", "Linear GP-LVM", "RBF GP-LVM")
    }
    display = ReconstructionDisplay.from_estimators(
        models, X_test, image_shape=image_shape
    )
    save_figure(display.figure_, folder / PICTURES["reconstructions"])

    models = {
        name: fits[name].model
        for name in ("Linear autoencoder", "Linear GP-LVM", "RBF GP-LVM")
    }
    models |= {fit.numbers["name"]: fit.model for fit in classifiers[:2]}
    # A fit that starts at its optimum has no iterations.
    models = {name: model for name, model in models.items() if model.loss_curve_}
    display = LossCurveDisplay.from_estimators(models, scale="relative")
    save_figure(display.figure_, folder / PICTURES["losses"])

    predicted = classifiers[0].model.predict(X_test)
    figure = confusion_matrix(y_test, predicted, names)
    save_figure(figure, folder / PICTURES["confusion"])
