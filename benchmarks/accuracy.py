"""Does the fast way learn as well as the slow one? python benchmarks/accuracy.py

Trains ResNet-18 from scratch on real patches, below $HISTO_META_DATA/pcam, once as fastai's
documentation teaches (image files, float32, its own `Dihedral`), once as `train_run` does (pixels
kept in a file, the processor's precision, exact symmetries), with the same seeds, epochs and
learning rate, and compares the AUC on the 3,000 patches of the folder `valid`.
"""
import argparse
import os
import random
import tempfile
import time
from pathlib import Path

import numpy as np
import torchvision
from bench import start
from fastai.data.transforms import GrandparentSplitter, Normalize, get_image_files, parent_label
from fastai.torch_core import no_random
from fastai.vision.all import CategoryBlock, DataBlock, Dihedral, ImageBlock
from fastai.vision.all import imagenet_stats, vision_learner
from sklearn.metrics import roc_auc_score

from histo_meta.bundle import Predictor
from histo_meta.data import patch_table
from histo_meta.run import train_run

BS, LR = 64, 3e-3


def subset(n, folder):
    "Links to `n` training patches, half of them tumour, and to all of valid"
    source, rng = Path(os.environ['HISTO_META_DATA'])/'pcam', random.Random(0)
    for part, most in (('train', n//2), ('valid', None)):
        for label in '01':
            (folder/part/label).mkdir(parents=True)
            files = sorted((source/part/label).iterdir())
            rng.shuffle(files)
            for file in files[:most]: (folder/part/label/file.name).symlink_to(file.resolve())
    return folder


def stock(folder, epochs, seed):
    "AUC on valid of fastai's own way"
    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label,
                      splitter=GrandparentSplitter(valid_name='valid'),
                      batch_tfms=[Dihedral(p=7/8), Normalize.from_stats(*imagenet_stats)])
    with no_random(seed):
        dls = block.dataloaders(folder, bs=BS)
        learn = vision_learner(dls, torchvision.models.resnet18, pretrained=False)
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(epochs, LR)
    with learn.no_bar(): probs, y = learn.get_preds()
    return roc_auc_score(y, probs[:, 1])


def ours(folder, epochs, seed):
    "AUC on valid of `train_run`"
    with tempfile.TemporaryDirectory() as tmp:
        run = train_run(folder, Path(tmp)/'run', epochs=epochs, lr=LR, arch='resnet18',
                        pretrained=False, seed=seed, bs=BS, split='folder', n_boot=0,
                        progress=False)
        valid = patch_table(folder).query('split == "valid"')
        return roc_auc_score(valid.label == 'tumor', Predictor(run.folder/'bundle').predict(valid))


def timed(train, *args):
    began = time.perf_counter()
    return train(*args), time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--patches', type=int, default=6400)
    parser.add_argument('--epochs', type=int, default=3)
    parser.add_argument('--seeds', type=int, default=3)
    args = parser.parse_args()
    print(start())
    print(f'\nresnet18 from scratch, {args.patches:,} patches, {args.epochs} epochs; '
          'AUC on valid, and seconds in all:\n')
    print('| seed | fastai from files | ours | seconds, fastai | seconds, ours |')
    print('|---:|---:|---:|---:|---:|', flush=True)
    found = []
    with tempfile.TemporaryDirectory() as tmp:
        folder = subset(args.patches, Path(tmp)/'pcam')
        for seed in range(args.seeds):
            auc, seconds = timed(stock, folder, args.epochs, seed)
            our_auc, our_seconds = timed(ours, folder, args.epochs, seed)
            found.append((auc, our_auc))
            print(f'| {seed} | {auc:.4f} | {our_auc:.4f} | {seconds:,.0f} | {our_seconds:,.0f} |',
                  flush=True)
    mean, spread = np.mean(found, axis=0), np.std(found, axis=0, ddof=1)
    print(f'\nmean {mean[0]:.4f} and {mean[1]:.4f}, '
          f'standard deviation over seeds {spread[0]:.4f} and {spread[1]:.4f}')


if __name__ == '__main__': main()
