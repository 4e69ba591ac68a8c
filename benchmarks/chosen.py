"""The networks that the recipe chooses: python benchmarks/chosen.py [--patches N] [--rounds N]

How fast do they predict, with and without test-time augmentation? An equivariant network needs one
view only. The weights are random, which does not change the speed.
"""
import tempfile
from functools import partial
from pathlib import Path

from bench import PREDICTED, arguments, jpeg_folder, new_bundle, start, table, take_turns

from histo_meta.bundle import Predictor
from histo_meta.data import patch_table
from histo_meta.packed import pack_patches
from histo_meta.recipe import SCRATCH_ARCH, SIZES
from histo_meta.weights import DEFAULT_ARCH

NETWORKS = dict([
    *[(f'EfficientNet-Lite0, {size} pixels', (DEFAULT_ARCH, size, 1)) for size in SIZES],
    ('3 x EfficientNet-Lite0, 160 pixels', (DEFAULT_ARCH, 160, 3)),
    (f'{SCRATCH_ARCH}, 96 pixels', (SCRATCH_ARCH, 96, 1))])


def contestants(patches, folder):
    "Predictions of all patches: name to function"
    found = {}
    for i, (name, (arch, size, members)) in enumerate(NETWORKS.items()):
        bundle = new_bundle(arch, folder/str(i), size, members)
        for tta in (False, True):
            predict = partial(Predictor(bundle, tta=tta).predict, patches)
            found[name + ', eight views'*tta] = lambda predict=predict: len(predict())
    return found


def main():
    args = arguments(__doc__, PREDICTED//5, arch=None).parse_args()
    print(start())
    with jpeg_folder(args.patches) as files, tempfile.TemporaryDirectory() as tmp:
        patches = patch_table(pack_patches(files, Path(tmp)/'pack'))
        rates = take_turns(contestants(patches, Path(tmp)), args.rounds)
    print(f'\n{table(rates, next(iter(rates)))}')


if __name__ == '__main__': main()
