"""Folders of images, one sub-folder per class, in and out."""

import shutil
import tempfile
import warnings
from numbers import Integral
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from gplvm.datasets._memory import available_memory

__all__ = ["load_image_folder", "save_image_folder"]

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
_BYTES_PER_PIXEL = 50  # at the peak: what is read, on white, in bands, as float64
_EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
# Names that a file system somewhere cannot hold, besides control characters.
_FORBIDDEN = set('/\\:*?"<>|')


class _RangeError(ValueError):
    """What is wrong with an image that can be read."""


def load_image_folder(path, *, image_size=None, color=False):
    """Load the images of a folder with one sub-folder per class.

    The folder is laid out as ``path/<class>/<image>``. Files are read in sorted
    order, classes first; hidden files and folders, and files that do not end in
    one of .png, .jpg, .jpeg, .bmp, .gif, .tif, .tiff and .webp, are ignored.

    Parameters
    ----------
    path : str or path-like
        The folder.
    image_size : int or tuple of (int, int), default=None
        Height and width to which every image is resized, with anti-aliasing; an
        int stands for a square. None takes the images as they are: they must
        then all have the same size.
    color : bool, default=False
        False converts to greyscale; True keeps red, green and blue.

    Returns
    -------
    dataset : :class:`~sklearn.utils.Bunch`
        With the following attributes.

        images : ndarray of shape (n_samples, height, width) or \
                (n_samples, height, width, 3)
            Brightness from 0 to 1, as float64.
        data : ndarray of shape (n_samples, n_features)
            The same numbers, one row per image: a view of ``images``.
        target : ndarray of shape (n_samples,)
            The class of each image, an index into ``target_names``.
        target_names : ndarray of shape (n_classes,)
            Names of the sub-folders, sorted.
        filenames : ndarray of shape (n_samples,)
            The files, in the order of ``images``.
        DESCR : str
            A summary.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    NotADirectoryError
        If ``path`` is a file.
    ValueError
        If there are fewer than two class folders, a class folder holds no image,
        an image cannot be read or is so large that it looks like an attack, a link
        leads to nothing or out of the folder, or sizes differ while
        ``image_size=None``. The message names the file.
    MemoryError
        If the images would not fit into the memory that is available.

    See Also
    --------
    save_image_folder : Write such a folder.
    make_creatures : Make images of seven species.

    Notes
    -----
    Images with 16 bits per pixel are scaled by 65535, palettes are resolved,
    transparent parts are shown on white, the camera's rotation mark (EXIF) is
    honoured, and of an animation the first frame is taken. Images with 32 bits
    per pixel have no agreed range: those in floating point must lie in [0, 1],
    integers in [0, 65535].

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from gplvm.datasets import (
    ...     load_image_folder, make_creatures, save_image_folder)
    >>> creatures = make_creatures(14, random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "creatures"
    ...     save_image_folder(
    ...         path, creatures.images, creatures.target, creatures.target_names)
    ...     loaded = load_image_folder(path, image_size=16)
    >>> loaded.images.shape
    (14, 16, 16)
    >>> print(loaded.target_names[0])
    direhorse
    """
    size = _checked_size(image_size)
    if not isinstance(color, bool | np.bool_):
        raise TypeError(f"color must be True or False; got {color!r}.")
    folder = Path(path)
    classes = _class_files(folder)

    n_images = sum(len(files) for files in classes.values())
    images, target, filenames = None, [], []
    for label, files in enumerate(classes.values()):
        for file in files:
            image = _read_image(file, size, color)
            if images is None:
                images = _memory_for(n_images, image)
            elif image.shape != images.shape[1:]:
                (h0, w0), (h, w) = images.shape[1:3], image.shape[:2]
                raise ValueError(
                    f"The images differ in size: {file} is {w} x {h} pixels (width x "
                    f"height), the first image, {filenames[0]}, is {w0} x {h0}. Pass "
                    "image_size=(height, width) to resize all images."
                )
            images[len(target)] = image
            target.append(label)
            filenames.append(str(file))

    names = np.array(list(classes))
    kind = "colour" if color else "greyscale"
    counts = ", ".join(f"{name} ({len(files)})" for name, files in classes.items())
    height, width = images.shape[1:3]
    return Bunch(
        data=images.reshape(len(images), -1),
        images=images,
        target=np.array(target),
        target_names=names,
        filenames=np.array(filenames),
        DESCR=f"{len(images)} {kind} images of {height} x {width} pixels (height x "
        f"width) from {folder}, in {len(names)} classes: {counts}.",
    )


def save_image_folder(
    path, images, target, target_names, *, format="png", overwrite=False
):
    """Write images to a folder with one sub-folder per class.

    Image ``i`` becomes ``path/<class name>/<i>.png``, with ``i`` padded with
    zeros so that names sort in the order of ``images`` within a class. The
    folder appears complete or not at all: images are written to a temporary
    folder beside it, which takes its place at the end.

    Parameters
    ----------
    path : str or path-like
        The folder to make. Its parents are made where missing.
    images : array-like of shape (n_samples, height, width) or \
            (n_samples, height, width, 3)
        Brightness from 0 to 1.
    target : array-like of shape (n_samples,)
        The class of each image, an index into ``target_names``.
    target_names : array-like of shape (n_classes,)
        Names of the classes, which become names of folders. Every class needs an
        image.
    format : {"png", "jpeg"}, default="png"
        File format. PNG keeps brightness to within half of 1/255; JPEG is lossy.
    overwrite : bool, default=False
        Whether to replace ``path``, with all it contains, where it exists. An
        empty folder is always filled.

    Raises
    ------
    FileExistsError
        If ``path`` is a file or a folder that is not empty, and ``overwrite`` is
        False.
    TypeError
        If the images are not numbers or the labels are not integers.
    ValueError
        If shapes disagree, values are not finite or lie outside [0, 1], a label
        has no name, a class has no image, or a name cannot be the name of a
        folder.

    See Also
    --------
    load_image_folder : Read such a folder.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from gplvm.datasets import save_image_folder
    >>> images = np.linspace(0, 1, 3 * 8 * 8).reshape(3, 8, 8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "shades"
    ...     save_image_folder(path, images, [0, 0, 1], ["dark", "light"])
    ...     sorted(f.relative_to(path).as_posix() for f in path.rglob("*.png"))
    ['dark/0.png', 'dark/1.png', 'light/2.png']
    """
    if format not in ("png", "jpeg"):
        raise ValueError(f"format must be 'png' or 'jpeg'; got {format!r}.")
    images = _checked_images(images)
    names = _checked_names(target_names)
    target = _checked_target(target, len(images), names)

    folder = Path(path)
    if not overwrite and _is_taken(folder):
        raise FileExistsError(
            f"{folder} exists and is not an empty folder; nothing was written. Choose "
            "another path, or pass overwrite=True to replace it."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the folder, so that the last step is a rename within one file system.
    workshop = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    draft, old = workshop / "new", workshop / "old"
    try:
        digits = len(str(len(images) - 1))
        ending = "png" if format == "png" else "jpg"
        for name in names:
            (draft / name).mkdir(parents=True)
        for i, (image, label) in enumerate(zip(images, target, strict=True)):
            file = draft / names[label] / f"{i:0{digits}d}.{ending}"
            _write_image(file, image, format)
        if folder.exists() or folder.is_symlink():
            folder.rename(old)
        draft.rename(folder)
    finally:
        # Where the last rename failed, what was there before comes back.
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(workshop, ignore_errors=True)


def _checked_size(image_size):
    """(height, width), or None."""
    if image_size is None:
        return None
    square = isinstance(image_size, Integral) and not isinstance(image_size, bool)
    try:
        sides = (image_size, image_size) if square else tuple(image_size)
        whole = all(isinstance(s, Integral) and not isinstance(s, bool) for s in sides)
    except TypeError:
        sides, whole = (), False
    if len(sides) != 2 or not whole:
        raise TypeError(
            "image_size must be None, an int or a tuple (height, width) of two ints; "
            f"got {image_size!r}."
        )
    if min(sides) < 1:
        raise ValueError(f"image_size must be at least 1; got {image_size!r}.")
    height, width = (int(side) for side in sides)  # of Python, which does not overflow
    if height * width * _BYTES_PER_PIXEL > available_memory():
        raise MemoryError(f"An image of image_size={image_size!r} does not fit.")
    return height, width


def _memory_for(n_images, image):
    """An array for so many images of this shape."""
    n_bytes, available = n_images * image.nbytes, available_memory()
    if n_bytes > available:
        raise MemoryError(
            f"{n_images} images of {' x '.join(map(str, image.shape))} need "
            f"{n_bytes / 2**30:.3g} GiB, and {available / 2**30:.3g} GiB are available"
        )
    return np.empty((n_images, *image.shape))


def _class_files(folder):
    """The image files of each class: a dict of sorted lists, itself sorted."""
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder {folder}.")
    if not folder.is_dir():
        raise NotADirectoryError(
            f"{folder} is a file; expected a folder with one sub-folder per class."
        )
    # Sorted by name, character by character, on every platform.
    visible = [p for p in folder.iterdir() if not p.name.startswith(".")]
    folders = sorted((p for p in visible if p.is_dir()), key=lambda p: p.name)
    if not folders:
        raise ValueError(
            f"{folder} holds no class folders; expected {folder}/<class>/<image>."
        )
    if len(folders) == 1:
        raise ValueError(
            f"{folder} holds one class folder only, {folders[0].name!r}; expected at "
            "least two."
        )
    root, classes = folder.resolve(), {}
    for sub in folders:
        _refuse_link_out_of(root, sub)
        files = [
            p
            for p in sub.iterdir()
            if p.suffix.lower() in _EXTENSIONS and not p.name.startswith(".")
        ]
        for file in files:
            _refuse_link_out_of(root, file)
        files = [p for p in files if p.is_file()]
        if not files:
            raise ValueError(
                f"Class folder {sub} holds no image; expected files that end in one of "
                f"{', '.join(sorted(_EXTENSIONS))}."
            )
        classes[sub.name] = sorted(files, key=lambda p: p.name)
    return classes


def _refuse_link_out_of(root, path):
    """Refuse a link to nothing or out of the folder: what is read is what is there."""
    if not path.is_symlink():
        return
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise ValueError(f"{path} is a link to nothing.") from error
    if not target.is_relative_to(root):
        raise ValueError(f"{path} is a link that leaves the folder; copy it instead.")


def _read_image(file, size, color):
    """One image as floats in [0, 1], (h, w) or (h, w, 3)."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # Pillow only warns of images up to twice its limit; refuse them too.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Odd metadata is no reason to trouble the user: the pixels decide.
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            # By content, and these formats only: others start programs.
            with Image.open(file, formats=_FORMATS) as opened:
                _refuse_giant(opened.size)
                opened.load()
                image = ImageOps.exif_transpose(opened)
                channels = _channels(image, color)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ValueError(
            f"{file} is refused: {error} Shrink the image if it is genuine."
        ) from error
    except _RangeError as error:
        raise ValueError(f"{file}: {error}") from error
    except Exception as error:  # Pillow raises whatever the damage leads to
        reason = error.strerror if getattr(error, "strerror", None) else error
        raise ValueError(f"{file} cannot be read as an image: {reason}") from error
    if size is not None:
        height, width = size
        channels = [
            c.resize((width, height), Image.Resampling.BILINEAR) for c in channels
        ]
    arrays = [np.asarray(c, dtype=np.float64) for c in channels]
    pixels = np.stack(arrays, axis=-1) if color else arrays[0]
    return np.clip(pixels, 0.0, 1.0)


def _refuse_giant(size):
    """Refuse an image whose pixels do not fit into memory."""
    n_bytes = size[0] * size[1] * _BYTES_PER_PIXEL
    if n_bytes > available_memory():
        raise _RangeError(f"its {size[0]} x {size[1]} pixels do not fit into memory.")


def _channels(image, color):
    """Pillow images of mode "F" with values in [0, 1]: one, or three for colour.

    Floating point throughout, so that resizing does not round.
    """
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        if image.mode != "F":
            values = values / 65535.0
        if not (np.isfinite(values).all() and 0 <= values.min() <= values.max() <= 1):
            raise _RangeError(
                f"its values, of mode {image.mode!r}, lie outside the range that "
                "can be scaled to [0, 1]; convert it to 8 or 16 bits per pixel."
            )
        grey = Image.fromarray(values.astype(np.float32))
        return [grey] * 3 if color else [grey]
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
    image = image.convert("RGB" if color else "L")
    return [
        Image.fromarray(np.asarray(band, dtype=np.float32) / np.float32(255))
        for band in image.split()
    ]


def _checked_images(images):
    """Images as floats (n, h, w) or (n, h, w, 3) in [0, 1]."""
    if np.ma.is_masked(images):
        raise ValueError("images are masked in parts, and a file has no mask.")
    images = np.asarray(images)
    if images.dtype.kind not in "biuf":
        raise TypeError(f"images must be real numbers; got dtype {images.dtype}.")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] != 3):
        raise ValueError(
            "images must have shape (n_samples, height, width) or (n_samples, height, "
            f"width, 3); got {images.shape}."
        )
    if images.size == 0:
        raise ValueError(f"images must not be empty; got shape {images.shape}.")
    flat = images.reshape(len(images), -1)
    bad = np.flatnonzero(~np.isfinite(flat).all(axis=1))
    if len(bad):
        raise ValueError(
            f"images must be finite; image {bad[0]} holds NaN or infinity."
        )
    low, high = flat.min(), flat.max()
    if low < 0 or high > 1:
        raise ValueError(
            f"images must lie in [0, 1]; got values from {low:g} to {high:g}. Divide "
            "8-bit images by 255."
        )
    return images


def _checked_names(target_names):
    """Class names that are safe as names of folders."""
    names = [str(name) for name in np.asarray(target_names, dtype=object).ravel()]
    seen = set()
    for name in names:
        if (
            not name.strip()
            or name != name.strip()
            or name.startswith(".")
            or name.endswith(".")
            or len(name.encode()) > 255
            or any(c in _FORBIDDEN or not c.isprintable() for c in name)
        ):
            raise ValueError(
                f"Class name {name!r} cannot be the name of a folder: it must not be "
                "empty or overlong, start or end with a dot or a space, or hold a "
                "path separator, a control character or any of "
                f"{' '.join(sorted(_FORBIDDEN))}."
            )
        # Some file systems do not tell upper from lower case.
        if name.casefold() in seen:
            raise ValueError(
                f"Class name {name!r} appears twice in target_names (upper and lower "
                "case count as the same)."
            )
        seen.add(name.casefold())
    return names


def _checked_target(target, n_images, names):
    """Labels (n,), each with a name, and each name with an image."""
    target = np.asarray(target)
    if target.shape != (n_images,):
        raise ValueError(
            f"target must have one label per image, shape ({n_images},); got shape "
            f"{target.shape}."
        )
    if target.dtype.kind not in "iu":
        raise TypeError(
            f"target must hold integers, indices into target_names; got dtype "
            f"{target.dtype}."
        )
    if target.min() < 0 or target.max() >= len(names):
        raise ValueError(
            f"target must lie in 0..{len(names) - 1}, as target_names has {len(names)} "
            f"entries; got labels from {target.min()} to {target.max()}."
        )
    missing = sorted(set(range(len(names))) - set(target.tolist()))
    if missing:
        raise ValueError(
            f"Class {names[missing[0]]!r} has no image; leave it out of target_names."
        )
    return target


def _is_taken(folder):
    """Whether something is there that must not be overwritten."""
    if folder.is_dir() and not folder.is_symlink():
        return any(folder.iterdir())
    return folder.exists() or folder.is_symlink()


def _write_image(file, image, format):
    """One image as 8 bits per channel."""
    from PIL import Image

    pixels = np.rint(np.asarray(image, dtype=np.float64) * 255).astype(np.uint8)
    options = {"quality": 95, "subsampling": 0} if format == "jpeg" else {}
    Image.fromarray(pixels).save(file, format=format.upper(), **options)
