"Predict patches: python benchmarks/inference.py [--arch NAME] [--patches N] [--rounds N]"
import argparse
import tempfile
from pathlib import Path

import torch
import torchvision
from bench import jpeg_folder, start, table, take_turns
from fastai.data.transforms import RandomSplitter, get_image_files, parent_label
from fastai.vision.all import CategoryBlock, DataBlock, ImageBlock, imagenet_stats, vision_learner
from torchvision import transforms

from histo_meta.bundle import Predictor
from histo_meta.data import patch_table
from histo_meta.export import engine_predictor
from histo_meta.packed import pack_patches
from histo_meta.run import export_run, train_run

BS = 64


def stock(folder, arch):
    "fastai's get_preds from files"
    block = DataBlock((ImageBlock, CategoryBlock), get_items=get_image_files, get_y=parent_label,
                      splitter=RandomSplitter(.1))
    learn = vision_learner(block.dataloaders(folder, bs=BS), getattr(torchvision.models, arch), pretrained=False)
    items = get_image_files(folder)
    def predict():
        with learn.no_bar(): return len(learn.get_preds(dl=learn.dls.test_dl(items))[0])
    return predict


def plain(root, predictor):
    "torchvision's PCAM, PyTorch's DataLoader, a plain loop"
    steps = [transforms.ToTensor(), transforms.Normalize(*imagenet_stats)]
    data = torchvision.datasets.PCAM(root, 'train', transform=transforms.Compose(steps))
    loader = torch.utils.data.DataLoader(data, BS, num_workers=2)
    def predict():
        with torch.inference_mode(): return sum(len(predictor.model(x.to(predictor.device)).cpu()) for x, _ in loader)
    return predict


def limit(predictor, n):
    "The prepared network on a tensor"
    x = torch.randint(0, 256, (BS, 3, 96, 96), dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    x = predictor.inputs(x)
    def predict():
        with torch.inference_mode(): return sum(len(predictor.network(x).cpu()) for _ in range(n//BS))
    return predict


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--arch', default='resnet18')
    parser.add_argument('--patches', type=int, default=1280)
    parser.add_argument('--rounds', type=int, default=5)
    args = parser.parse_args()
    print(start())
    with jpeg_folder(args.patches) as folder, tempfile.TemporaryDirectory() as tmp:
        pack = pack_patches(folder, Path(tmp)/'pcam')
        run = train_run(pack, Path(tmp)/'run', epochs=1, lr=1e-3, arch=args.arch, pretrained=False, n_boot=0,
                        progress=False)
        export_run(run, int8=True, progress=False)
        packed, files = patch_table(pack), patch_table(folder)
        predictor = Predictor(run.folder/'bundle')
        def ours(p, rows): return lambda: len(p.predict(rows))
        contestants = {'fastai get_preds, files': stock(folder, args.arch),
                       "torchvision's PCAM, plain loop": plain(tmp, predictor),
                       'ours, files': ours(predictor, files),
                       'ours, pack': ours(predictor, packed),
                       'ours, pack, onnx': ours(engine_predictor(run.folder/'bundle', 'onnx'), packed),
                       'ours, pack, onnx-int8': ours(engine_predictor(run.folder/'bundle', 'onnx-int8'), packed),
                       'limit: network on a tensor': limit(predictor, args.patches)}
        rates = take_turns(contestants, args.rounds)
        print(f'\n{args.arch}, {args.patches:,} patches, batches of {BS} for the others:\n')
        print(table(rates, 'fastai get_preds, files', 'limit: network on a tensor'))
        if predictor.device.type != 'cpu':
            apart = abs(predictor.predict(packed) - Predictor(run.folder/'bundle', 'cpu').predict(packed)).max()
            print(f'\nlargest difference between {predictor.device} and cpu: {apart:.1e} in probability')


if __name__ == '__main__': main()
