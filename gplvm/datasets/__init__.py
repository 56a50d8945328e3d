"""Data to try models on: drawn creatures, and folders of images in and out."""

from ._creatures import make_creatures
from ._image_folder import load_image_folder, save_image_folder

__all__ = ["load_image_folder", "make_creatures", "save_image_folder"]
