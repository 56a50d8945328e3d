"""The order of the gallery: what a reader wants to see first comes first."""

ORDER = [
    # What a GP-LVM is.
    "plot_gplvm.py",
    "plot_latent_manifold.py",
    "plot_explore_latent_space.py",
    "plot_digits_embeddings.py",
    "plot_linear_gplvm_is_pca.py",
    # What it can do.
    "plot_projection_uncertainty.py",
    "plot_missing_pixels.py",
    "plot_bayesian_gplvm.py",
    "plot_pipeline_grid_search.py",
    # The other exercises.
    "plot_linear_autoencoder.py",
    "plot_swish_classifier.py",
    "plot_species_by_hidden_units.py",
    "plot_hidden_layer_gplvm.py",
    "plot_parameter_budget.py",
    "plot_calibration.py",
    "plot_computational_graphs.py",
]


class GalleryOrder:
    """Sort key of an example's file name; names that are not in `ORDER` come last."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        """Return the place and, to tell unknown names apart, the name."""
        known = filename in ORDER
        return ORDER.index(filename) if known else len(ORDER), filename
