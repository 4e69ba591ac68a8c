"""Predict patches: python benchmarks/inference.py [--arch NAME] [--patches N] [--rounds N]

The network is trained first, so that its AUC is good enough for int8, which is refused where it
would make the AUC worse.
"""
import tempfile
from pathlib import Path

import torch
import torchvision
from bench import BS, DEVICE, PREDICTED, arguments, jpeg_folder, start, table, take_turns
from fastai.data.transforms import RandomSplitter, get_image_files, parent_label
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock
from fastai.vision.all import imagenet_stats, vision_learner
from torchvision import transforms

from histo_meta.base import InputError
from histo_meta.bundle import Predictor
from histo_meta.data import patch_table
from histo_meta.export import engine_predictor
from histo_meta.machine import usable_cores
from histo_meta.packed import pack_patches
from histo_meta.run import export_run, train_run

TRAINED_ON = 20_000 if DEVICE.type == 'cuda' else 6_400  # patches


def stock(folder, arch):
    "fastai's get_preds from files"
    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label,
                      splitter=RandomSplitter(.1))
    dls, items = block.dataloaders(folder, bs=BS), get_image_files(folder)
    learn = vision_learner(dls, getattr(torchvision.models, arch), pretrained=False)
    def predict():
        with learn.no_bar(): return len(learn.get_preds(dl=learn.dls.test_dl(items))[0])
    return predict


def plain(root, predictor):
    "torchvision's PCAM, PyTorch's DataLoader, a plain loop"
    steps = [transforms.ToTensor(), transforms.Normalize(*imagenet_stats)]
    data = torchvision.datasets.PCAM(root, 'train', transform=transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(data, BS, num_workers=usable_cores())
    def output(x): return predictor.model(x.to(predictor.device)).cpu()
    def predict():
        with torch.inference_mode(): return sum(len(output(x)) for x, _ in loader)
    return predict


def limit(predictor, n):
    "The prepared network on a tensor"
    x = predictor.inputs(torch.randint(0, 256, (predictor.bs, 3, 96, 96), dtype=torch.uint8))
    batches = max(1, n//predictor.bs)
    def output(): return predictor.network(x).cpu()
    def predict():
        with torch.inference_mode(): return sum(len(output()) for _ in range(batches))
    return predict


def export(run):
    "The engines that the model of a run is exported for"
    try: export_run(run, int8=True, progress=False)
    except InputError as e:
        print(f'\nonnx-int8 is left out: {e}')
        export_run(run, progress=False)
        return ['onnx']
    return ['onnx', 'onnx-int8']


def train(arch, n, folder):
    "The bundle of a network trained on `n` patches, and the engines it is exported for"
    with jpeg_folder(n) as files:
        run = train_run(files, folder, epochs=2, lr=1e-3, arch=arch, pretrained=False, n_boot=0,
                        progress=False)
        return run.folder/'bundle', export(run)


def make_contestants(folder, root, arch, bundle, engines):
    "What is compared, name to function"
    packed, files = patch_table(Path(root)/'pcam'), patch_table(folder)
    predictor = Predictor(bundle)
    def ours(p, rows): return lambda: len(p.predict(rows))
    others = {f'ours, pack, {name}': ours(engine_predictor(bundle, name), packed)
              for name in engines}
    return {'fastai get_preds, files': stock(folder, arch),
            "torchvision's PCAM, plain loop": plain(root, predictor),
            'ours, files': ours(predictor, files),
            'ours, pack': ours(predictor, packed),
            **others,
            'limit: network on a tensor': limit(predictor, len(packed))}


def difference(bundle, pack):
    "Compare the probabilities on the GPU and on the processor"
    gpu, cpu, patches = Predictor(bundle), Predictor(bundle, 'cpu'), patch_table(pack)
    apart = abs(gpu.predict(patches) - cpu.predict(patches)).max()
    print(f'\nlargest difference between {gpu.device} and cpu: {apart:.1e} in probability')


def main():
    parser = arguments(__doc__, PREDICTED, rounds=5)
    parser.add_argument('--trained-on', type=int, default=TRAINED_ON, help='patches')
    args = parser.parse_args()
    print(start())
    torch.backends.cudnn.allow_tf32 = False  # a `Predictor` computes without it, so all do
    with jpeg_folder(args.patches) as folder, tempfile.TemporaryDirectory() as tmp:
        pack = pack_patches(folder, Path(tmp)/'pcam')
        bundle, engines = train(args.arch, args.trained_on, Path(tmp)/'run')
        contestants = make_contestants(folder, tmp, args.arch, bundle, engines)
        rates = take_turns(contestants, args.rounds)
        print(f'\n{args.arch}, {args.patches:,} patches, batches of {BS} for the others:\n')
        print(table(rates, 'fastai get_preds, files', 'limit: network on a tensor'))
        if DEVICE.type != 'cpu': difference(bundle, pack)


if __name__ == '__main__': main()
