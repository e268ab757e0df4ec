"""Data sets: images of small unsigned integers with labels."""

from sqhw.data.dataset import Dataset, Split
from sqhw.data.form import ImageForm
from sqhw.data.load import dataset_files, load_dataset

__all__ = ["Dataset", "ImageForm", "Split", "dataset_files", "load_dataset"]
