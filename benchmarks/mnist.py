"""Time of an epoch: NumPy by hand, PyTorch's eager loop, scikit-learn, bare matrix products

    python benchmarks/mnist.py [--data DIR] [--bs 64,128,256] [--rounds 15]

The same network (784-500-300-10, ReLU), the same digits in float32, the same batch size, plain SGD
with momentum and weight decay, one process. The four take turns on a fifth of an epoch, and the
time is multiplied by five. Each counts with the best of its rounds, since whatever else the machine
does can only add time. Without `--data` the digits are random pixels, which take the same time.
To set the number of threads, set OMP_NUM_THREADS before you start it.
"""
import argparse, os, time, warnings

import numpy as np
import torch
from sklearn.neural_network import MLPClassifier

from histo_meta.mnist import Network, fit
from histo_meta.mnist_data import load_mnist

SIZES = (784, 500, 300, 10)
PARTS = 5  # we time one of so many parts of an epoch of 60,000 digits


def time_ours(x, y, bs):
    "Seconds that `fit` reports for an epoch"
    return fit(Network(SIZES), x, y, epochs=1, lr_max=.01, bs=bs)['epochs'][0]['seconds']


def time_torch(x, y, bs):
    "An eager loop over batches of tensors: no DataLoader, no Python per digit"
    modules = []
    for a, b in zip(SIZES, SIZES[1:]): modules += [torch.nn.Linear(a, b), torch.nn.ReLU()]
    net = torch.nn.Sequential(*modules[:-1])
    x, y = torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))
    opt = torch.optim.SGD(net.parameters(), lr=.01, momentum=.9, weight_decay=5e-3)
    start = time.perf_counter()
    for idxs in torch.randperm(len(x)).split(bs):
        loss = torch.nn.functional.cross_entropy(net(x[idxs]), y[idxs])
        opt.zero_grad()
        loss.backward()
        opt.step()
        loss.item()
    return time.perf_counter() - start


def time_sklearn(x, y, bs):
    "Three epochs of `fit`, divided by three, so that its preparations weigh little"
    net = MLPClassifier(SIZES[1:-1], solver='sgd', nesterovs_momentum=False,
                        learning_rate_init=.01, alpha=5e-3, batch_size=bs, max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # three epochs do not converge
        start = time.perf_counter()
        net.fit(x, y)
    return (time.perf_counter() - start)/3


def time_products(x, y, bs):
    "The eight matrix products of a batch and nothing else, into existing arrays: the limit"
    def ones(*shape): return np.ones(shape, np.float32)
    acts, outs = ([ones(bs, s) for s in SIZES] for _ in range(2))
    weights, grads = ([ones(a, b) for a, b in zip(SIZES, SIZES[1:])] for _ in range(2))
    start = time.perf_counter()
    for _ in range(-(-len(x)//bs)):
        for i in range(3): np.matmul(acts[i], weights[i], out=outs[i+1])
        for i in (2, 1, 0):
            np.matmul(acts[i].T, outs[i+1], out=grads[i])
            if i: np.matmul(outs[i+1], weights[i].T, out=outs[i])
    return time.perf_counter() - start


def digits(data):
    "Training digits as float32 rows, normalised, and their classes"
    if data:
        x, y = load_mnist(data)[:2]
        n = len(x)//PARTS
        rows = x[:n].reshape(n, -1) - x.mean()
        return np.divide(rows, x.std(), dtype=np.float32), y[:n]
    rng, n = np.random.default_rng(0), 60_000//PARTS
    return rng.standard_normal((n, 784), dtype=np.float32), rng.integers(0, 10, n, np.uint8)


TIMERS = dict(ours=time_ours, torch=time_torch, sklearn=time_sklearn, products=time_products)


def measure(x, y, bs, rounds):
    "Best seconds of an epoch for each timer, taking turns"
    times = {name: [] for name in TIMERS}
    for _ in range(rounds):
        for name, timer in TIMERS.items(): times[name].append(timer(x, y, bs))
    return {name: PARTS*min(ts) for name, ts in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', help='folder with the MNIST files; random digits by default')
    parser.add_argument('--bs', default='64,128,256', help='batch sizes')
    parser.add_argument('--rounds', type=int, default=15, help='turns of each')
    args = parser.parse_args()
    x, y = digits(args.data)
    threads = os.environ.get('OMP_NUM_THREADS', 'all')
    print(f'{PARTS*len(x):,} digits, {threads} threads; '
          f'seconds an epoch, best of {args.rounds} rounds\n')
    head = ('batch', *TIMERS, 'ours/torch', 'ours/sklearn', 'ours/products')
    print('|', ' | '.join(head), '|\n' + '|---:'*len(head) + '|')
    for bs in map(int, args.bs.split(',')):
        times = measure(x, y, bs, args.rounds)
        ratios = [times['ours']/times[k] for k in ('torch', 'sklearn', 'products')]
        row = [str(bs), *(f'{v:.2f}' for v in (*times.values(), *ratios))]
        print('|', ' | '.join(row), '|', flush=True)


if __name__ == '__main__': main()
