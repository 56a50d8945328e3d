"""Data to try models on: drawn creatures, and folders of images in and out."""

from gplvm.datasets._creatures import make_creatures
from gplvm.datasets._image_folder import load_image_folder, save_image_folder

__all__ = ["load_image_folder", "make_creatures", "save_image_folder"]
