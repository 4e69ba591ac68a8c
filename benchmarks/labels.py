"""How many wrong labels does a model find? python benchmarks/labels.py [FOLDER]

We exchange 2% of the labels, and count how many of the exchanged ones are among the patches whose
labels are doubted most. FOLDER is $HISTO_META_DATA/pcam/train, or synthetic patches without it."""
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from histo_meta.base import VOCAB
from histo_meta.doubts import fold_probs, label_doubts
from histo_meta.sample import make_sample
from histo_meta.scan import read_patches

WRONG = .02  # proportion of the labels that are exchanged


def exchange(y, seed=0):
    "The labels with some of them exchanged, and which ones"
    rows = np.random.default_rng(seed).choice(len(y), round(WRONG*len(y)), replace=False)
    wrong = np.zeros(len(y), bool)
    wrong[rows] = True
    return np.where(wrong, 1 - y, y), wrong


def report(y, given, wrong, p):
    "One row for each number of patches to look at"
    doubts = label_doubts(given, p)
    order, n = np.argsort(doubts.confidence), len(y)
    print(f'AUC for the original labels {roc_auc_score(y, p):.3f}, for the given ones '
          f'{roc_auc_score(given, p):.3f}; {doubts.wrong.sum():,} labels are probably wrong, '
          f'{(doubts.wrong & wrong).sum():,} of them exchanged\n')
    print('| patches to look at | exchanged labels found | of all that were exchanged | by chance |')
    print('|---:|---:|---:|---:|')
    for part in (WRONG/2, WRONG, 2*WRONG, 5*WRONG):
        k = round(part*n)
        found = wrong[order[:k]].sum()
        print(f'| {k:,} ({part:.0%}) | {found:,} | {found/wrong.sum():.0%} | {part:.0%} |')


def main(folder):
    table = read_patches(folder).table
    y = (table.label == 'tumor').to_numpy(int)
    given, wrong = exchange(y)
    began, cpu = time.perf_counter(), time.process_time()
    p = fold_probs(table.assign(label=np.array(VOCAB)[given]))
    print(f'{len(table):,} patches, {wrong.sum():,} labels exchanged; '
          f'{time.perf_counter() - began:.0f} s, {time.process_time() - cpu:.0f} s of CPU time')
    report(y, given, wrong, p)


if __name__ == '__main__':
    real = Path(os.environ.get('HISTO_META_DATA', 'nowhere'))/'pcam/train'
    if sys.argv[1:]: main(sys.argv[1])
    elif real.is_dir(): main(real)
    else:
        with tempfile.TemporaryDirectory() as tmp: main(make_sample(f'{tmp}/sample', 2000, 50))
