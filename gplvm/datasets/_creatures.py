"""Pictures of the seven species, with the pose behind every picture."""

from numbers import Integral, Real

import numpy as np
from sklearn.utils import Bunch, check_random_state, check_scalar

from gplvm.datasets._body_parts import POSE_RANGES
from gplvm.datasets._body_plans import BODY_PLANS
from gplvm.datasets._drawing import paint
from gplvm.datasets._memory import available_memory

__all__ = ["make_creatures"]

_DESCR = """\
Creatures of Pandora
--------------------

{n_samples} greyscale pictures of {image_size} x {image_size} pixels, brightness
from 0 to 1, of seven species: {species}.

Every picture is drawn by code: an articulated animal, built from its species'
body plan, in a random pose under random light before a random landscape, with
Gaussian noise of standard deviation {noise:g} on every pixel. The {n_factors}
numbers behind each picture are in ``pose``: {factors}.

Difficulty of 2000 pictures of 32 x 32 pixels with noise 0.04, for
random_state 0 to 4, a quarter held out: accuracy of logistic regression on the
pixels 0.80 to 0.82, of a network with 64 hidden units 0.82 to 0.87, of a support
vector machine (RBF, C=10, standardised pixels) 0.85 to 0.89; leave-one-out error
of the nearest neighbour in the first two principal components 0.66 to 0.70.
"""


def make_creatures(
    n_samples=2000,
    *,
    image_size=32,
    noise=0.04,
    return_X_y=False,
    random_state=None,
):
    """Make pictures of seven species of creatures, each in a pose of its own.

    Direhorse, mountain banshee, great leonopteryx, thanator, viperwolf, hammerhead
    titanothere and hexapede are drawn as articulated animals, under varied pose,
    view, light and background. The numbers that generated each picture are
    returned too: what an embedding finds can be compared with the truth.

    Parameters
    ----------
    n_samples : int, default=2000
        Number of pictures. The species are balanced: their numbers differ by one
        at most.
    image_size : int, default=32
        Height and width in pixels, from 8 to 512. The same ``random_state`` gives
        the same animals at every size, drawn coarser or finer.
    noise : float, default=0.04
        Standard deviation of the Gaussian noise on every pixel, from 0 to 1. Noisy
        values are clipped to [0, 1].
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.
    random_state : int, RandomState instance or None, default=None
        Determines poses, order and noise. Pass an int for reproducible pictures.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the following attributes.

        images : ndarray of shape (n_samples, image_size, image_size)
            Brightness from 0 (black) to 1 (white), as float64, the precision in
            which Gaussian-process models factorise their matrices.
        data : ndarray of shape (n_samples, image_size ** 2)
            The same numbers, one row per picture: a view of ``images``.
        target : ndarray of shape (n_samples,)
            The species, an index into ``target_names``.
        target_names : ndarray of shape (7,)
            Names of the species.
        pose : ndarray of shape (n_samples, n_factors)
            The factors behind each picture, see Notes.
        pose_names : list of str
            Names of the columns of ``pose``.
        DESCR : str
            A summary.

    (data, target) : tuple if ``return_X_y`` is True
        The arrays ``data`` and ``target`` above.

    Raises
    ------
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If a parameter lies outside its range.
    MemoryError
        If the pictures would not fit into the memory that is available.

    See Also
    --------
    save_image_folder : Write the pictures as files.
    load_image_folder : Read pictures of your own.

    Notes
    -----
    The factors are independent and uniform.

    - The view: ``heading`` (1 to the right, -1 to the left), ``yaw`` (degrees
      turned towards the viewer), ``elevation`` (degrees from which the viewer looks
      down), ``scale``, and ``x``, ``y`` (shift to the right and down, as a share of
      the picture).
    - The pose: ``gait`` (phase of the step or of the wing beat, a circle from 0 to
      1), and from -1 to 1 ``stride`` (of step or beat), ``crouch`` (-1 low, 1
      high), ``neck`` (raised), ``turn`` (head to the viewer), ``tail`` (its pitch),
      ``sway`` (tail to the viewer), ``bank`` (roll) and ``climb`` (nose up). Flying
      animals have no ``crouch``.
    - The light: ``tone`` (brightness of the skin), ``light`` (degrees of its
      direction from overhead, positive from the right), ``exposure`` (brightness of
      the whole picture) and ``haze``.
    - The landscape, which says nothing about the species: ``horizon``,
      ``hill_height``, ``hill_phase``, and place and size of a floating rock
      (``rock_x``, ``rock_y``, ``rock_size``) and of three bushes (``bush_1_x``,
      ``bush_1_size``, ...), as shares of the picture.

    The difficulty is chosen such that linear methods leave something to learn. For
    2000 pictures of 32 x 32 pixels and ``random_state`` 0 to 4, a quarter of them
    held out, the accuracy of multinomial logistic regression on the pixels is 0.80
    to 0.82 (mean 0.81), of :class:`~sklearn.neural_network.MLPClassifier` with 64
    hidden units 0.82 to 0.87 (mean 0.84), and of :class:`~sklearn.svm.SVC` with
    ``C=10`` on standardised pixels 0.85 to 0.89 (mean 0.88). The leave-one-out error
    of the nearest neighbour in the first two principal components is 0.66 to 0.70.

    Sines and exponentials may differ in their last bit between machines, and the
    pictures with them; poses and labels do not differ.

    Examples
    --------
    >>> from gplvm.datasets import make_creatures
    >>> creatures = make_creatures(70, random_state=0)
    >>> creatures.images.shape, creatures.data.shape
    ((70, 32, 32), (70, 1024))
    >>> print(", ".join(creatures.target_names))
    direhorse, mountain banshee, great leonopteryx, thanator, viperwolf, \
hammerhead titanothere, hexapede
    >>> creatures.pose_names[:4]
    ['heading', 'yaw', 'elevation', 'gait']
    >>> X, y = make_creatures(70, return_X_y=True, random_state=0)
    >>> bool((X == creatures.data).all())
    True
    """
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    check_scalar(image_size, "image_size", Integral, min_val=8, max_val=512)
    check_scalar(noise, "noise", Real, min_val=0, max_val=1)
    if np.isnan(noise):
        raise ValueError("noise must be a number from 0 to 1; got nan.")
    if not isinstance(return_X_y, bool | np.bool_):
        raise TypeError(f"return_X_y must be True or False; got {return_X_y!r}.")
    rng = check_random_state(random_state)
    _check_memory(int(n_samples), int(image_size))

    # Noise comes last: pictures of another size show the same animals.
    target = rng.permutation(np.arange(n_samples) % len(BODY_PLANS))
    pose = _random_poses(n_samples, rng)
    images = _draw(target, pose, image_size)
    if noise:
        images += noise * rng.standard_normal(images.shape)
        np.clip(images, 0.0, 1.0, out=images)

    data = images.reshape(n_samples, -1)
    if return_X_y:
        return data, target
    species = [plan.name for plan in BODY_PLANS]
    description = _DESCR.format(
        n_samples=n_samples,
        image_size=image_size,
        noise=noise,
        species=", ".join(species),
        n_factors=len(POSE_RANGES),
        factors=", ".join(POSE_RANGES),
    )
    return Bunch(
        data=data,
        images=images,
        target=target,
        target_names=np.array(species),
        pose=pose,
        pose_names=list(POSE_RANGES),
        DESCR=description,
    )


def _check_memory(n_samples, image_size):
    """Refuse pictures that do not fit into memory, with as much noise beside them."""
    n_bytes, available = 2 * 8 * n_samples * image_size**2, available_memory()
    if n_bytes > available:
        raise MemoryError(
            f"{n_samples} pictures of {image_size} x {image_size} pixels need "
            f"{n_bytes >> 30} GiB, and {available >> 30} GiB are available"
        )


def _random_poses(n_samples, rng):
    """Poses (n, k), uniform in their ranges; the heading is one of two."""
    low, high = np.array(list(POSE_RANGES.values())).T
    pose = rng.uniform(low, high, size=(n_samples, len(low)))
    heading = pose[:, list(POSE_RANGES).index("heading")]
    heading[...] = np.where(heading < 0, -1.0, 1.0)
    return pose


def _draw(target, pose, image_size):
    """Pictures (n, s, s), without noise, of the species in the poses given."""
    images = np.empty((len(target), image_size, image_size))
    for species, plan in enumerate(BODY_PLANS):
        members = np.flatnonzero(target == species)
        named = dict(zip(POSE_RANGES, pose[members].T, strict=True))
        images[members] = paint(plan, named, image_size)
    return images
