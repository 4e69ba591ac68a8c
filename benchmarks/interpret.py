"CPU seconds of the scores, next to the plain way: python benchmarks/interpret.py [N_BOOT]"
import resource
import sys
import time
from functools import partial

import numpy as np
from sklearn import metrics as skm

from histo_meta.interpret import auc_ci, evaluate, operating_point, simulate_scores


def seconds(f, repeat=1):
    "Shortest of `repeat` runs of `f`, in CPU seconds of one core"
    times = []
    for _ in range(repeat):
        start = time.process_time()
        f()
        times.append(time.process_time() - start)
    return min(times)


def plain_placements(y, p, part):
    "Placements by comparing every pair, for every `part`-th tumor patch only"
    normal = p[y==0]
    return [(x > normal).mean() for x in p[y==1][::part]]


def draw(rng, s, rows, by_slide):
    "Indices of one replicate: whole slides, or single patches"
    if not by_slide: return rng.integers(len(s.y), size=len(s.y))
    return np.concatenate([rows[k] for k in rng.integers(len(rows), size=len(rows))])


def plain_bootstrap(s, n_boot, by_slide):
    "The first version one would write: draw, then call scikit-learn for each score"
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(s.slide == i) for i in range(s.slide.max()+1)]
    scores = skm.average_precision_score, skm.brier_score_loss, skm.log_loss, skm.roc_curve
    for _ in range(n_boot):
        i = draw(rng, s, rows, by_slide)
        for score in scores: score(s.y[i], s.p[i])


def row(name, fast, plain=None, note=''):
    times = [f'{fast:.3f}', '', ''] if plain is None else \
            [f'{fast:.3f}', f'{plain:.1f}', f'{plain/fast:.1f}x']
    print('|', ' | '.join([name, *times, note]), '|', flush=True)


def main(n_boot=2000, few=10):
    print('| task | CPU s | plain | ratio | |\n|---|---:|---:|---:|---|')
    s, part = simulate_scores(slides=128, per_slide=256), 8
    plain = seconds(partial(plain_placements, s.y, s.p, part))*2*part
    fast = seconds(partial(auc_ci, s.y, s.p), 5)
    row('DeLong interval, 32,768 patches', fast, plain, f'all pairs; 1/{part} measured, scaled')
    fast = seconds(partial(auc_ci, s.y, s.p, s.slide), 5)
    row('Obuchowski interval, 32,768 patches, 128 slides', fast)
    fast = seconds(partial(evaluate, s.y, s.p, n_boot=0), 3)
    row('evaluate, 32,768 patches, no bootstrap', fast)
    big = simulate_scores(slides=200, per_slide=1311)
    for name, slide in (('200 slides', big.slide), ('slides unknown', None)):
        plain = seconds(partial(plain_bootstrap, big, few, slide is not None))*n_boot/few
        fast = seconds(partial(evaluate, big.y, big.p, slide, n_boot=n_boot))
        row(f'evaluate, {len(big.y):,} patches, {name}, {n_boot:,} replicates', fast, plain,
            f'scikit-learn in each; {few} measured, scaled')
    alone = partial(operating_point, big.y, big.p, slide=big.slide, n_boot=n_boot)
    row('operating point alone, 200 slides', seconds(alone))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**20
    print(f'\npeak memory: {peak:.2f} GB')


if __name__ == '__main__': main(*map(int, sys.argv[1:2]))
