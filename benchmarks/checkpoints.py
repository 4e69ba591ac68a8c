"""What do checkpoints cost? python benchmarks/checkpoints.py [--arch NAME]

Whole trainings with `train_run`, as `histo_train` does them, of one network and of three. We add up the seconds in
which the state is written (every five minutes, after the last mini-batch of an epoch, and after its validation) and
those in which the model of the epoch is written, and divide by the seconds of the epochs. The row of 20,000 patches
is calculated from the times of the row above it.
"""
import tempfile
from pathlib import Path

from bench import BS, arguments, jpeg_folder, markdown, start, timed

from histo_meta.checkpoint import Checkpoints
from histo_meta.run import KeepEpochs, train_run

EVERY = 300  # seconds from one checkpoint to the next
SIZES = 1_000, 4_000
LARGE = 20_000


def timing(cls, name, seconds):
    "Let a method add the time that it takes to a list"
    method = getattr(cls, name)
    def _inner(*args, **kwargs):
        result, took = timed(lambda: method(*args, **kwargs))
        seconds.append(took)
        return result
    setattr(cls, name, _inner)


def measure(arch, n, members, states, models):
    "Seconds of the epochs, of the states, of the models, and the size of the last state in MB"
    states.clear(), models.clear()
    with jpeg_folder(n) as files, tempfile.TemporaryDirectory() as tmp:
        size = []
        class Watch(KeepEpochs):
            order = 101
            def before_fit(self): pass
            def after_epoch(self): size.append((self.folder/'checkpoint/state.pt').stat().st_size/1e6)
        run = train_run(files, Path(tmp)/'run', arch=arch, pretrained=False, epochs=1, members=members, lr=1e-3,
                        bs=BS, ema=.998, progress=False, n_boot=0, cbs=Watch(Path(tmp)/'run'))
        return run.history.seconds.sum(), sum(states), sum(models), size[-1]


def main():
    args = arguments(__doc__, None).parse_args()
    print(start())
    states, models, rows = [], [], []
    timing(Checkpoints, '_write', states)
    timing(KeepEpochs, 'after_epoch', models)
    for members in (1, 3):
        for n in SIZES:
            epochs, state, model, size = measure(args.arch, n, members, states, models)
            rows.append([members, n, epochs, state, model, size])
        more = LARGE/n
        later = epochs*more//EVERY*state/len(states)
        rows.append([members, LARGE, epochs*more, state + later, model, size])
    head = ['networks', 'patches', 's of the epochs', 's of states', 's of models', 'MB of the last state', '%']
    shown = [[str(m), f'{n:,}', f'{e:.0f}', f'{s:.2f}', f'{k:.2f}', f'{z:.0f}', f'{100*(s + k)/e:.2f}']
             for m, n, e, s, k, z in rows]
    print(f'\n{args.arch}, one epoch each:\n\n{markdown(head, shown)}')


if __name__ == '__main__': main()
