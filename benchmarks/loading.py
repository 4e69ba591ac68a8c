"Read and prepare mini-batches on one core, without a network: python benchmarks/loading.py [N]"
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torchvision
from bench import BS, jpeg_folder, start, table, take_turns
from fastai.data.block import CategoryBlock, DataBlock
from fastai.data.transforms import Normalize, RandomSplitter, get_image_files, parent_label
from fastai.vision.core import imagenet_stats
from fastai.vision.data import ImageBlock
from torchvision import transforms

from histo_meta.core import patch_dls
from histo_meta.data import patch_table
from histo_meta.packed import PatchReader, pack_patches


def stock(folder):
    "fastai's DataBlock, as its documentation teaches it"
    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label,
                      splitter=RandomSplitter(.1),
                      batch_tfms=Normalize.from_stats(*imagenet_stats))
    return block.dataloaders(folder, bs=BS, num_workers=0, device='cpu').train


def plain(root):
    "torchvision's PCAM and PyTorch's DataLoader"
    steps = [transforms.ToTensor(), transforms.Normalize(*imagenet_stats)]
    data = torchvision.datasets.PCAM(root, 'train', transform=transforms.Compose(steps))
    return torch.utils.data.DataLoader(data, BS, shuffle=True, drop_last=True)


def limit(pixels):
    "Only pick the pixels of mini-batches from an array"
    n = len(pixels)//BS*BS
    for rows in np.random.permutation(len(pixels))[:n].reshape(-1, BS): yield (pixels[rows],)


def count(batches): return sum(len(batch[0]) for batch in batches)


def main(n=2000):
    print(start(threads=1))
    with jpeg_folder(n) as folder, tempfile.TemporaryDirectory() as tmp:
        pack = pack_patches(folder, Path(tmp)/'pcam')
        known = patch_table(pack)
        pixels = PatchReader(known).read(range(len(known)))
        ours = patch_dls(pack, bs=BS, num_workers=0, augment=False, device='cpu').train
        turned = patch_dls(pack, bs=BS, num_workers=0, device='cpu').train
        raw = patch_dls(pack, bs=BS, num_workers=0, augment=False, device='cpu').train
        raw.after_batch.fs.clear()
        files = patch_dls(folder, bs=BS, num_workers=0, augment=False, device='cpu').train
        contestants = {
            'fastai DataBlock, files': partial(count, stock(folder)),
            "torchvision's PCAM": partial(count, plain(tmp)),
            'ours, files': partial(count, files),
            'ours, pack, normalised': partial(count, ours),
            'ours, pack, normalised and turned': partial(count, turned),
            'ours, pack, bytes': partial(count, raw),
            'limit: pick from an array': lambda: count(limit(pixels))}
        rates = take_turns(contestants, 5)
        print()
        print(table(rates, 'fastai DataBlock, files', 'limit: pick from an array'))


if __name__ == '__main__': main(*map(int, sys.argv[1:]))
