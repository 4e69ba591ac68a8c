"""How many wrong labels does a model find? python benchmarks/labels.py [FOLDER] [--seeds N] [--write]

We exchange 2% of the labels, and count how many of the exchanged ones are among the patches whose labels are doubted
most, in the order in which the audit lists them. FOLDER is $HISTO_META_DATA/pcam/train, or synthetic patches without it.
"""
import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from bench import machine, markdown, write_section
from sklearn.metrics import roc_auc_score

from histo_meta.base import VOCAB
from histo_meta.doubts import fold_probs, label_doubts
from histo_meta.sample import make_sample
from histo_meta.scan import read_patches

WRONG = .02  # proportion of the labels that are exchanged
LOOK = WRONG/2, WRONG, 2*WRONG, 5*WRONG  # proportions of the patches that somebody looks at


def exchange(y, seed):
    "The labels with some of them exchanged, and which ones"
    rows = np.random.default_rng(seed).choice(len(y), round(WRONG*len(y)), replace=False)
    wrong = np.zeros(len(y), bool)
    wrong[rows] = True
    return np.where(wrong, 1 - y, y), wrong


def one(table, y, seed):
    "Exchanged labels found for each of `LOOK`, listed by the audit, found among those, AUC, and CPU seconds"
    given, wrong = exchange(y, seed)
    cpu = time.process_time()
    p = fold_probs(table.assign(label=np.array(VOCAB)[given]))
    cpu, doubts = time.process_time() - cpu, label_doubts(given, p)
    order = np.argsort(np.where(doubts.wrong, 0, 1) + doubts.confidence)  # the listed ones first
    found = [wrong[order[:round(part*len(y))]].sum() for part in LOOK]
    return [*found, doubts.wrong.sum(), (doubts.wrong & wrong).sum(), roc_auc_score(y, p), cpu]


def spread(values): return f'{np.mean(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})'


def report(y, results):
    *found, listed, right, auc, cpu = map(list, zip(*results))
    n = round(WRONG*len(y))
    rows = [[f'{round(part*len(y)):,} ({part:.0%})', spread(some), f'{np.mean(some)/n:.0%}', f'{part:.0%}']
            for part, some in zip(LOOK, found)]
    head = ['patches to look at', 'exchanged labels found: mean (range)', 'of all that were exchanged', 'by chance']
    return (f'{len(y):,} patches, {n:,} labels exchanged, {len(results)} times with other patches. The audit lists '
            f'{spread(listed)} labels, {spread(right)} of them exchanged. AUC for the original labels '
            f'{np.mean(auc):.3f}; {np.mean(cpu):.0f} s of the processor each.\n\n{markdown(head, rows)}')


def main(folder, seeds, write, kind):
    table = read_patches(folder).table
    y = (table.label == 'tumor').to_numpy(int)
    text = f'{machine(kind)}\n\n{report(y, [one(table, y, seed) for seed in range(1, seeds + 1)])}'
    print(text)
    if write: write_section('Labels that are doubted', ['labels.py'], [text])


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, nargs='?')
    parser.add_argument('--seeds', type=int, default=5, help='how often the labels are exchanged')
    parser.add_argument('--write', action='store_true', help='put the result into RESULTS.md')
    args = parser.parse_args()
    real = Path(os.environ.get('HISTO_META_DATA', 'nowhere'))/'pcam/train'
    if args.folder or real.is_dir(): main(args.folder or real, args.seeds, args.write, 'real patches')
    else:
        with tempfile.TemporaryDirectory() as tmp:
            main(make_sample(f'{tmp}/sample', 2000, 50), args.seeds, args.write, 'synthetic patches')
