"""Does the fast way learn as well as the slow one? python benchmarks/accuracy.py

Trains ResNet-18 from scratch on real patches, below $HISTO_META_DATA/pcam, once as fastai's
documentation teaches (image files, float32, its own `Dihedral`), once as `train_run` does (pixels
kept in a file, the processor's precision, exact symmetries), with the same seeds, epochs and
learning rate, and compares the AUC on the 3,000 patches of the folder `valid`. Ours holds out a
twentieth of its training patches, on which it chooses the epoch. Each round has a
seed of its own. `--write` puts the result into RESULTS.md.
"""
import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
import torchvision
from bench import arguments, markdown, start, timed, write_section
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


def stock(folder, arch, epochs, seed):
    "AUC on valid of fastai's own way"
    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label,
                      splitter=GrandparentSplitter(valid_name='valid'),
                      batch_tfms=[Dihedral(p=7/8), Normalize.from_stats(*imagenet_stats)])
    with no_random(seed):
        dls = block.dataloaders(folder, bs=BS)
        learn = vision_learner(dls, getattr(torchvision.models, arch), pretrained=False)
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(epochs, LR)
    with learn.no_bar(): probs, y = learn.get_preds()
    return roc_auc_score(y, probs[:, 1])


def ours(folder, arch, epochs, seed):
    "AUC on valid of `train_run`"
    with tempfile.TemporaryDirectory() as tmp:
        run = train_run(folder/'train', Path(tmp)/'run', epochs=epochs, lr=LR, arch=arch,
                        pretrained=False, seed=seed, bs=BS, split='random', valid_pct=.05,
                        augment='dihedral', smoothing=0, n_boot=0, progress=False)
        valid = patch_table(folder).query('split == "valid"')
        return roc_auc_score(valid.label == 'tumor', Predictor(run.folder/'bundle').predict(valid))


def one_seed(folder, arch, epochs, seed):
    "AUC and seconds, fastai's and ours"
    auc, seconds = timed(stock, folder, arch, epochs, seed)
    our_auc, our_seconds = timed(ours, folder, arch, epochs, seed)
    print(f'seed {seed}: {auc:.4f} and {our_auc:.4f}', file=sys.stderr)
    return auc, our_auc, seconds, our_seconds


def report(found):
    "The table, and what follows from it"
    head = ['seed', 'fastai from files', 'ours', 'seconds, fastai', 'seconds, ours']
    rows = [[str(seed), f'{a:.4f}', f'{b:.4f}', f'{s:,.0f}', f'{t:,.0f}']
            for seed, (a, b, s, t) in enumerate(found)]
    aucs = np.array(found)[:, :2]
    mean, spread = aucs.mean(axis=0), aucs.std(axis=0, ddof=1)
    return (f'{markdown(head, rows)}\n\nmean {mean[0]:.4f} and {mean[1]:.4f}, '
            f'standard deviation over seeds {spread[0]:.4f} and {spread[1]:.4f}')


def main():
    parser = arguments(__doc__, 6400)
    parser.add_argument('--epochs', type=int, default=3)
    parser.add_argument('--write', action='store_true', help='put the result into RESULTS.md')
    args = parser.parse_args()
    if 'HISTO_META_DATA' not in os.environ: parser.error('set HISTO_META_DATA to real patches')
    words = start()
    with tempfile.TemporaryDirectory() as tmp:
        folder = subset(args.patches, Path(tmp)/'pcam')
        found = [one_seed(folder, args.arch, args.epochs, seed) for seed in range(args.rounds)]
    text = (f'{words}\n\n{args.arch} from scratch, {args.patches:,} patches, {args.epochs} epochs; '
            f'AUC on valid, and seconds in all:\n\n{report(found)}')
    print(text)
    if args.write: write_section('Accuracy', [' '.join(['accuracy.py', *sys.argv[1:]])], [text])


if __name__ == '__main__': main()
