"How many CPU seconds the figures take, and against the plain way: python benchmarks/interpret.py"
import resource
import time
from functools import partial

import numpy as np
from sklearn import metrics as skm

from histo_meta.interpret import auc_ci, evaluate, operating_point, simulate_scores


def seconds(f, repeat=1):
    "The least of `repeat` times of `f`, in seconds of one core: those of the clock where nothing else runs"
    times = []
    for _ in range(repeat):
        start = time.process_time()
        f()
        times.append(time.process_time() - start)
    return min(times)


def plain_placements(y, p, part):
    "Placements by comparing every pair; only of a part of the tumour patches"
    normal = p[y==0]
    return [(x > normal).mean() for x in p[y==1][::part]]


def plain_bootstrap(s, n_boot, by_slide):
    "What one would write first: draw, then call scikit-learn for each figure"
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(s.slide == i) for i in range(s.slide.max()+1)]
    for _ in range(n_boot):
        if by_slide: i = np.concatenate([rows[k] for k in rng.integers(len(rows), size=len(rows))])
        else: i = rng.integers(len(s.y), size=len(s.y))
        y, p = s.y[i], s.p[i]
        for figure in (skm.average_precision_score, skm.brier_score_loss, skm.log_loss, skm.roc_curve): figure(y, p)


def row(what, fast, plain=None, note=''):
    ratio = '' if plain is None else f'{plain:9.1f} {plain/fast:7.1f}x'
    print(f'{what:60} {fast:9.3f} {ratio}  {note}', flush=True)


def main():
    print(f'{"what":60} {"CPU s":>9} {"plain":>9} {"ratio":>8}')
    s, part = simulate_scores(slides=128, per_slide=256), 8
    plain = seconds(partial(plain_placements, s.y, s.p, part))*2*part
    fast = seconds(partial(auc_ci, s.y, s.p), 5)
    row('DeLong interval, 32,768 patches', fast, plain, f'all pairs; 1/{part} measured, scaled')
    row('Obuchowski interval, 32,768 patches, 128 slides', seconds(partial(auc_ci, s.y, s.p, s.slide), 5))
    row('evaluate, 32,768 patches, no bootstrap', seconds(partial(evaluate, s.y, s.p, n_boot=0), 3))
    big, few, n_boot = simulate_scores(slides=200, per_slide=1311), 10, 2000
    for name, slide in (('200 slides', big.slide), ('slides unknown', None)):
        plain = seconds(partial(plain_bootstrap, big, few, slide is not None))*n_boot/few
        fast = seconds(partial(evaluate, big.y, big.p, slide, n_boot=n_boot))
        row(f'evaluate, {len(big.y):,} patches, {name}, {n_boot:,} replicates', fast, plain,
            f'scikit-learn in each; {few} measured, scaled')
    alone = partial(operating_point, big.y, big.p, slide=big.slide, n_boot=n_boot)
    row('operating point alone, 200 slides', seconds(alone))
    print(f'peak memory of it all: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**20:.2f} GB')


if __name__ == '__main__': main()
