"""Data: reading it, dividing it, and serving it in batches.

load            one entrance for CSV, NPZ, IDX, folders of images, frames and arrays -> Data
load_images     loose image files and folders of them
split           rows for training and testing, every class in proportion
TableSchema     a training table's columns, which turn any later table into arrays
DataLoader      mini-batches of a Dataset, as in torch.utils.data
"""

from haema.data.builtin import digits
from haema.data.collate import default_collate
from haema.data.csvfile import read_csv
from haema.data.dataset import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from haema.data.idx import read_idx, write_idx
from haema.data.imagerows import ImageRows
from haema.data.loader import DataLoader
from haema.data.loading import Data, load, load_images
from haema.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from haema.data.schema import TableArrays, TableSchema
from haema.data.splits import split

__all__ = [
    "load",
    "load_images",
    "Data",
    "ImageRows",
    "digits",
    "read_csv",
    "read_idx",
    "write_idx",
    "split",
    "TableSchema",
    "TableArrays",
    "Dataset",
    "TensorDataset",
    "Subset",
    "ConcatDataset",
    "random_split",
    "DataLoader",
    "Sampler",
    "SequentialSampler",
    "RandomSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
    "BatchSampler",
    "default_collate",
]
