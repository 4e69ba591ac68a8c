"How long the figures take, and against the plain way: python benchmarks/interpret.py"
import resource, time

import numpy as np
from sklearn import metrics as skm

from histo_meta.interpret import auc_ci, evaluate, operating_point, simulate_scores


def seconds(f, repeat=1):
    "The least of `repeat` times of `f`"
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times)


def plain_bootstrap(s, n_boot, slides):
    "What one would write first: draw, then call scikit-learn for each figure"
    rng = np.random.default_rng(0)
    rows = [np.flatnonzero(s.slide == i) for i in range(s.slide.max()+1)] if slides else None
    for _ in range(n_boot):
        if slides: i = np.concatenate([rows[k] for k in rng.integers(len(rows), size=len(rows))])
        else: i = rng.integers(len(s.y), size=len(s.y))
        y, p = s.y[i], s.p[i]
        skm.roc_auc_score(y, p), skm.average_precision_score(y, p), skm.brier_score_loss(y, p), skm.log_loss(y, p), skm.roc_curve(y, p)



def row(what, fast, plain=None, note=''):
    ratio = '' if plain is None else f'{plain:10.1f} {plain/fast:8.1f}x'
    print(f'{what:58} {fast:10.3f} {ratio}  {note}', flush=True)


def main():
    print(f'{"what":58} {"seconds":>10} {"plain":>10} {"ratio":>9}')
    s = simulate_scores(slides=128, per_slide=256, seed=0)
    sub = slice(None, None, 8)
    plain = seconds(lambda: [(x > s.p[s.y==0]).mean() for x in s.p[s.y==1][sub]])*2*8
    row('DeLong interval, 32,768 patches', seconds(lambda: auc_ci(s.y, s.p), 5), plain, 'all pairs, an eighth of them measured and scaled')
    row('Obuchowski interval, 32,768 patches, 128 slides', seconds(lambda: auc_ci(s.y, s.p, s.slide), 5))
    row('evaluate, 32,768 patches, n_boot=0', seconds(lambda: evaluate(s.y, s.p, n_boot=0), 3))
    big, few, n_boot = simulate_scores(slides=200, per_slide=1311, seed=0), 20, 2000
    for name, slide in (('200 slides', big.slide), ('slides unknown', None)):
        plain = seconds(lambda: plain_bootstrap(big, few, slide is not None)) * n_boot/few
        fast = seconds(lambda: evaluate(big.y, big.p, slide, n_boot=n_boot))
        row(f'evaluate, {len(big.y):,} patches, {name}, {n_boot:,} replicates', fast, plain, f'scikit-learn per replicate, {few} measured and scaled')
    row('operating point alone, as many', seconds(lambda: operating_point(big.y, big.p, slide=big.slide)))
    print(f'peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**20:.2f} GB, all of the above in one process')


if __name__ == '__main__': main()
