"""What helps a training, and what does not? python benchmarks/ablation.py [NAME ...]

Trains with one setting changed at a time on real patches, below $HISTO_META_DATA/pcam, and
measures the AUC on the folder `valid`, whose slides are others. Each training adds a row to
ablation.csv, which the page explains/recipe reads. What is there already is not trained again: to
repeat all of it, move ablation.csv away first. Each trial is compared with the base of the same
seed on the same device, whose predictions are kept in the folder --keep, or else computed again.
"""
import argparse
import copy
import csv
import hashlib
import os
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from bench import DEVICE, start
from fastai.callback.core import Callback, CancelFitException, CancelValidException
from fastai.callback.mixup import MixUp
from fastai.data.transforms import DisplayedTransform
from fastai.layers import Flatten, LinBnDrop
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import TensorImage, apply_init, no_random
from fastai.vision.core import imagenet_stats
from fastai.vision.learner import create_head
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.nn import functional as F

from histo_meta.core import patch_dls, patch_learner
from histo_meta.data import patch_table
from histo_meta.equivariant import is_invariant
from histo_meta.intervals import auc_difference
from histo_meta.machine import find_precision
from histo_meta.packed import PatchReader, pack_patches
from histo_meta.recipe import Stopwatch
from histo_meta.schedule import WeightAverage
from histo_meta.splits import HASH_COLUMNS
from histo_meta.transforms import AUGMENTATIONS, StainJitter, dihedral
from histo_meta.weights import arch_stats

SIDE = 96
RESULTS = Path(__file__).parent/'ablation.csv'
COSTS = RESULTS.with_name('ablation_cost.csv')


def half_precision(device):
    "Autocast to bfloat16 where the device has it"
    found = find_precision('auto', device) == 'bfloat16'
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=found)


@dataclass(frozen=True)
class Setting:
    "How to train"
    arch:str = 'timm/tf_efficientnet_lite0'
    pretrained:bool = True
    patches:int = 20_000  # of those in `train`, drawn at random
    copies:bool = True  # with the patches that are copies of others
    epochs:int = 3
    frozen:int = 0  # epochs of the head alone, before
    bs:int = 64
    lr:float = 2e-3
    lr_mult:float = 3.  # the first layers learn at lr/lr_mult
    wd:float = .01
    smoothing:float = .05  # of the labels
    augment:str = 'dihedral stain'
    average:float = 0.  # decay of the average of the weights; 0: none; 1: equal, of the last third
    crop:int = SIDE  # pixels in the middle that the network sees
    size:int = SIDE  # pixels that they are resized to
    first_size:int = 0  # the size in the first half of the training, where it is another
    pool:str = ''  # '', 'centre': over all and the middle third, or 'streams': of two networks
    linear:bool = False  # a head of one layer
    concat:bool = True  # the head sees the largest feature, too, and not only their mean
    ps:float = .5  # dropout in the head
    mixup:float = 0.
    stats:str = ''  # '', or 'imagenet': not those that the weights expect
    pretext:int = 0  # epochs on patches without labels, before
    teacher:str = ''  # entry whose networks, kept before, say what the answer is


def tuned(size, augment='dihedral stain color', **kwargs):
    "What helped, together"
    return Setting(size=size, lr=3e-3, lr_mult=1., augment=augment, **kwargs)


def short(**kwargs): return Setting(patches=6400, **kwargs)


ENTRIES = dict(
    base=Setting(),
    epochs_1=Setting(epochs=1),
    epochs_6=Setting(epochs=6),
    no_copies=Setting(copies=False),
    no_augmentation=Setting(augment=''),
    dihedral_only=Setting(augment='dihedral'),
    double_stain=Setting(augment='dihedral double_stain'),
    color=Setting(augment='dihedral stain color'),
    cutout=Setting(augment='dihedral stain cutout'),
    other_border=Setting(augment='dihedral stain border'),
    turn_and_zoom=Setting(augment='dihedral stain turn'),
    mixup=Setting(mixup=.2),
    no_smoothing=Setting(smoothing=0.),
    smoothing_10=Setting(smoothing=.1),
    head_first=Setting(frozen=1, epochs=2),
    equal_rates=Setting(lr_mult=1.),
    slow_body=Setting(lr_mult=10.),
    lr_1e_3=Setting(lr=1e-3),
    lr_4e_3=Setting(lr=4e-3),
    wd_10=Setting(wd=.1),
    bs_128=Setting(bs=128),
    average_99=Setting(average=.99),
    average_998=Setting(average=.998),
    average_equal=Setting(average=1.),
    tuned_96=tuned(96),
    tuned_144=tuned(144),
    tuned_192=tuned(192),
    tuned_224=tuned(224),
    tuned_144_lite2=tuned(144, arch='timm/tf_efficientnet_lite2'),
    tuned_160_zoom=tuned(160, 'dihedral stain color zoom'),
    scratch_p4m=Setting(arch='p4m_resnet8', pretrained=False, lr=3e-3, epochs=6, average=.998,
                        augment='dihedral strong_stain strong_color', ps=0., concat=False,
                        linear=True),
    short_base=short(),
    short_crop_64=short(crop=64, size=64),
    short_size_144=short(size=144),
    short_size_96_to_144=short(first_size=96, size=144),
    short_centre_pool=short(pool='centre'),
    short_two_streams=short(pool='streams'),
    short_linear_head=short(linear=True),
    short_mean_pool=short(concat=False),
    short_mean_linear=short(concat=False, linear=True),
    short_no_dropout=short(ps=0.),
    short_lite1=short(arch='timm/tf_efficientnet_lite1'),
    short_imagenet_stats=short(stats='imagenet'),
    short_distilled=short(teacher='short_base'),
    short_resnet18=short(arch='resnet18', pretrained=False, lr=4e-3, epochs=6),
    short_p4m=short(arch='p4m_resnet8', pretrained=False, lr=3e-3, ps=0., concat=False,
                    linear=True),
    short_pretext=short(arch='resnet18', pretrained=False, lr=4e-3, epochs=6, pretext=6))


def base_of(name): return 'short_base' if name.startswith('short_') else 'base'


def changes(name):
    "What an entry changes against its base, in words"
    s, base = asdict(ENTRIES[name]), asdict(ENTRIES[base_of(name)])
    return ', '.join(f'{k} {"none" if s[k] == "" else s[k]}' for k in s if s[k] != base[k])


class Enlarge(DisplayedTransform):
    "Cut the middle out and resize it, in training and validation"
    order = 19
    def __init__(self, crop, size): self.margin, self.size = (SIDE - crop)//2, size
    def encodes(self, x:TensorImage):
        middle = slice(self.margin, SIDE - self.margin)
        inner = x.as_subclass(torch.Tensor)[..., middle, middle]
        out = F.interpolate(inner, size=(self.size, self.size), mode='bilinear')
        return out.contiguous(memory_format=torch.channels_last).as_subclass(type(x))


class OtherBorder(DisplayedTransform):
    "Put the middle of each training patch into the border of another: the label is the middle's"
    order, split_idx = 14, 0
    def __init__(self, side=56): self.margin = (SIDE - side)//2
    def encodes(self, x:TensorImage):
        pixels = x.as_subclass(torch.Tensor)
        middle = slice(self.margin, SIDE - self.margin)
        out = pixels[torch.randperm(len(pixels), device='cpu').to(pixels.device)]
        own = torch.rand(len(pixels), device='cpu').to(pixels.device) < .5
        out[own] = pixels[own]
        out[..., middle, middle] = pixels[..., middle, middle]
        return out.as_subclass(type(x))


class TurnAndZoom(DisplayedTransform):
    "Turn each training patch by any angle, and zoom it by up to a tenth; borders are mirrored"
    order, split_idx = 14, 0
    def encodes(self, x:TensorImage):
        pixels = x.as_subclass(torch.Tensor)
        angle, zoom = torch.rand(2, len(pixels), 1, device='cpu').to(pixels.device)
        angle, zoom = angle*2*torch.pi, .9 + .2*zoom
        sin, cos, zero = angle.sin()*zoom, angle.cos()*zoom, torch.zeros_like(zoom)
        matrix = torch.stack([cos, -sin, zero, sin, cos, zero], -1).view(-1, 2, 3)
        grid = F.affine_grid(matrix, pixels.shape, align_corners=False)
        out = F.grid_sample(pixels, grid, padding_mode='reflection', align_corners=False)
        return out.as_subclass(type(x))


class CentrePool(nn.Module):
    "The mean over all places, and over the middle third"
    def forward(self, x):
        middle = F.adaptive_avg_pool2d(x, 3)[:, :, 1:2, 1:2]
        return torch.cat([F.adaptive_avg_pool2d(x, 1), middle], 1)


class Streams(nn.Module):
    "A network that looks at the whole patch, and another that looks at the enlarged middle"
    def __init__(self, body):
        super().__init__()
        self.whole, self.middle = body, copy.deepcopy(body)

    def forward(self, x):
        middle = slice(SIDE//4, SIDE - SIDE//4)
        near = F.interpolate(x[..., middle, middle], scale_factor=2, mode='bilinear')
        return torch.cat([self.whole(x), self.middle(near)], 1)


def pixel_digests(table, step=1024):
    "A short name for the pixels of each patch"
    reader = PatchReader(table)
    blocks = (reader.read(range(i, min(i + step, len(table)))) for i in range(0, len(table), step))
    return [hashlib.blake2b(pixels).hexdigest() for block in blocks for pixels in block]


def packed_table(folder):
    "The patches of a pack; that they have no copies on the other side is known"
    table = patch_table(folder)
    ids = [f'{i:0108x}' for i in range(len(table))]
    hashes = {column: ids for column in HASH_COLUMNS}
    return table.assign(**hashes, copy_group=range(len(table)), pixels=pixel_digests(table))


def some(table, s):
    "The training patches of a setting, and all others"
    train = table[table.split == 'train']
    if not s.copies: train = train.drop_duplicates('pixels')
    kept = train if s.patches >= len(train) else train.sample(s.patches, random_state=1)
    return table[(table.split != 'train') | table.index.isin(kept.index)].reset_index(drop=True)


AUGMENT = AUGMENTATIONS | dict(double_stain=lambda: StainJitter(.2, .1), border=OtherBorder,
                               turn=TurnAndZoom)


def is_plain(s): return s.crop == SIDE and not s.first_size


def transforms(s):
    enlarge = [] if is_plain(s) else [Enlarge(s.crop, s.size)]
    return [AUGMENT[name]() for name in s.augment.split()] + enlarge


def other_pool(learn, s):
    "A network with another pooling, and a head that fits"
    body, head = learn.model
    features = next(m for m in head if isinstance(m, nn.Linear)).in_features
    streams = s.pool == 'streams'
    layers = create_head(features, 2, pool=streams, ps=s.ps)
    apply_init(layers, nn.init.kaiming_normal_)
    if streams: learn.model = nn.Sequential(Streams(body), layers)
    else: learn.model[1] = nn.Sequential(CentrePool(), Flatten(), *layers)
    learn.model.to(learn.dls.device)
    learn.opt = None  # it has the parameters of the other head


class EqualAverage(WeightAverage):
    "The mean of the weights of the last third of the steps"
    def before_fit(self):
        super().before_fit()
        self.seen, self.steps = 0, 10**9  # so many that the start no longer counts

    def after_step(self):
        if self.learn.pct_train < 2/3: return
        self.decay = self.seen/(self.seen + 1)
        self.seen += 1
        super().after_step()


class Grow(Callback):
    "Small patches in the first half of the training"
    def __init__(self, first, then): self.first, self.then = first, then
    def before_epoch(self):
        enlarge = next(t for t in self.dls.after_batch.fs if isinstance(t, Enlarge))
        enlarge.size = self.first if self.epoch < self.n_epoch/2 else self.then


def random_view(x):
    "Another look at normalised patches: turned, cut, in other colours"
    def numbers(*shape): return torch.rand(len(x), *shape, 1, 1, device='cpu').to(x.device)
    x = dihedral(x, torch.randint(8, (len(x),)))
    cut = int(torch.randint(SIDE*5//8, SIDE + 1, ()))
    top, left = torch.randint(SIDE - cut + 1, (2,)).tolist()
    x = F.interpolate(x[..., top:top + cut, left:left + cut], size=(SIDE, SIDE), mode='bilinear')
    return x*(.8 + .4*numbers(3)) + .4*(numbers(3) - .5)


class SimSiam(nn.Module):
    "Chen and He 2021: the features of one view predict those of another"
    def __init__(self, body, width, inner=512):
        super().__init__()
        pool = [nn.AdaptiveAvgPool2d(1), Flatten()]
        self.encode = nn.Sequential(body, *pool, *LinBnDrop(width, inner, act=nn.ReLU()),
                                    *LinBnDrop(inner, inner))
        self.predict = nn.Sequential(*LinBnDrop(inner, 128, act=nn.ReLU()), nn.Linear(128, inner))

    def forward(self, x):
        z, other = self.encode(random_view(x)), self.encode(random_view(x))
        pairs = (z, other), (other, z)
        near = [F.cosine_similarity(self.predict(a), b.detach()) for a, b in pairs]
        return -torch.stack(near).mean()


def train_pretext(learn, s):
    "Train the body without labels"
    width = next(m for m in learn.model[1] if isinstance(m, nn.Linear)).in_features//2
    model = SimSiam(learn.model[0], width).to(learn.dls.device).train()
    model = model.to(memory_format=torch.channels_last)
    opt = torch.optim.SGD(model.parameters(), .03, momentum=.9, weight_decay=1e-4)
    steps = s.pretext*len(learn.dls.train)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
    for _ in range(s.pretext):
        for x, _ in learn.dls.train:
            with half_precision(x.device): loss = model(x.as_subclass(torch.Tensor))
            loss.backward()
            opt.step()
            opt.zero_grad()
            schedule.step()


def callbacks(s):
    averages = [EqualAverage()] if s.average == 1 else [WeightAverage(s.average)]
    grow = [Grow(s.first_size, s.size)] if s.first_size else []
    mix = [MixUp(s.mixup)] if s.mixup else []
    return [NoValidation(), *grow, *mix, *(averages if s.average else [])]


def make_learner(table, s):
    stats = imagenet_stats if s.stats == 'imagenet' else arch_stats(s.arch)
    dls = patch_dls(some(table, s), 'folder', bs=s.bs, size=s.size if is_plain(s) else SIDE,
                    stats=stats, augment=transforms(s), num_workers=0)
    loss = CrossEntropyLossFlat(label_smoothing=s.smoothing)
    head = dict(concat_pool=s.concat) | (dict(lin_ftrs=[]) if s.linear else {})
    learn = patch_learner(dls, s.arch, s.pretrained, wd=s.wd, dropout=s.ps, loss_func=loss, **head)
    if s.pool: other_pool(learn, s)
    if s.pretext: train_pretext(learn, s)
    return learn


class NoValidation(Callback):
    "Only the end counts"
    order = -50
    def before_validate(self): raise CancelValidException


def fit(learn, s):
    with learn.no_bar(), learn.no_logging():
        if s.pretrained and s.frozen:
            learn.freeze()
            learn.fit_one_cycle(s.frozen, s.lr, cbs=NoValidation())
        learn.unfreeze()
        lr = slice(s.lr/s.lr_mult, s.lr) if s.pretrained else s.lr
        learn.fit_one_cycle(s.epochs, lr, cbs=callbacks(s))


def view_probs(model, x):
    "Probabilities of tumour in each dihedral view, (n, 8)"
    def probs(k):
        view = dihedral(x, torch.full((len(x),), k)).contiguous(memory_format=torch.channels_last)
        return model(view).softmax(1)[:, 1]
    if is_invariant(model): return probs(0)[:, None].expand(-1, 8)
    return torch.stack([probs(k) for k in range(8)], 1)


def predict(learn):
    model = learn.model.eval()
    with torch.inference_mode():
        batches = (b[0].as_subclass(torch.Tensor) for b in learn.dls.valid)
        return torch.cat([view_probs(model, x) for x in batches]).numpy(force=True)


class Taught(Callback):
    "The loss is the distance to the mean of some networks that see the same images"
    def __init__(self, teachers): self.teachers = teachers
    def after_loss(self):
        if not self.training: return
        with torch.no_grad(), half_precision(self.x.device):
            probs = torch.stack([t(self.x).float().softmax(1) for t in self.teachers]).mean(0)
        with torch.autocast(self.x.device.type, enabled=False):
            self.learn.loss_grad = F.cross_entropy(self.pred.float(), probs)
        self.learn.loss = self.learn.loss_grad.clone()


def teachers(s, keep, device):
    "The networks of an entry that were kept"
    files = sorted(keep.glob(f'{s.teacher}_?.pt'))
    if not files: raise SystemExit(f'{keep} has no networks of {s.teacher}; train it first')
    return [torch.load(f, device, weights_only=False).eval() for f in files]


def scores(y, p, base):
    "AUC with one look and with all eight, accuracy, and what is gained over the base"
    mean = p.mean(1)
    gain = auc_difference(y, mean, base.mean(1))
    found = dict(auc=roc_auc_score(y, p[:, 0]), auc_tta=roc_auc_score(y, mean),
                 accuracy_tta=np.mean((mean > .5) == y),
                 gain=gain.value, gain_low=gain.lo, gain_high=gain.hi)
    return {name: f'{value:.4f}' for name, value in found.items()}


def train(table, name, seed, keep):
    "Train; the predictions, which are kept as well"
    s = ENTRIES[name]
    with no_random(seed):
        learn = make_learner(table, s)
        if s.teacher: learn.add_cb(Taught(teachers(s, keep, learn.dls.device)))
        fit(learn, s)
    p = predict(learn)
    np.save(keep/f'{name}_{seed}.npy', p)
    torch.save(learn.model, keep/f'{name}_{seed}.pt')
    return p


def base_probs(table, name, seed, keep):
    "What the base of an entry predicts on this device"
    base = base_of(name)
    kept = keep/f'{base}_{seed}.npy'
    if not kept.exists(): measure_new(table, base, seed, keep)
    return np.load(kept)


def device_name(): return torch.cuda.get_device_name() if DEVICE.type == 'cuda' else DEVICE.type


def measure(table, name, seed, keep):
    "Train and evaluate; a row of the results"
    p = train(table, name, seed, keep)
    y = (table.label[table.split == 'valid'] == 'tumor').to_numpy()
    found = scores(y, p, base_probs(table, name, seed, keep))
    return dict(entry=name, seed=seed, device=device_name()) | found


class FewSteps(Callback):
    "End after some steps"
    def __init__(self, n): self.left = n
    def after_batch(self):
        self.left -= 1
        if not self.left: raise CancelFitException


def minutes(table, s, keep):
    "How long a training would take on this machine, from a few steps of it"
    if s.first_size:
        sizes = (replace(s, first_size=0, size=size) for size in (s.first_size, s.size))
        return np.mean([minutes(table, each, keep) for each in sizes])
    steps = 31 if 'zoom' in s.augment.split() else 9  # of different sizes, or all the same
    learn = make_learner(table, replace(s, pretext=0))
    if s.teacher: learn.add_cb(Taught(teachers(s, keep, learn.dls.device)))
    learn.add_cbs([FewSteps(steps), Stopwatch()])
    with no_random(0): fit(learn, replace(s, frozen=0))
    epochs = s.epochs + s.frozen + 2*s.pretext  # a pretext looks at two views
    return epochs*len(learn.dls.train)*np.mean(learn.stopwatch.seconds[1:])/60


def known(path, *columns):
    "The rows that are there already, as the values in some columns"
    if not path.exists(): return set()
    with open(path) as f: return {tuple(row[c] for c in columns) for row in csv.DictReader(f)}


def write(row, path):
    new = not path.exists()
    with open(path, 'a') as f:
        writer = csv.DictWriter(f, list(row), lineterminator='\n')
        if new: writer.writeheader()
        writer.writerow(row)
    print(row, flush=True)


def measure_new(table, name, seed, keep):
    "Measure, and add a row to the results, unless they have it for this device"
    row = measure(table, name, seed, keep)
    found = known(RESULTS, 'entry', 'seed', 'device')
    if (name, str(seed), device_name()) not in found: write(row, RESULTS)


def measure_costs(table, names, keep):
    for name in names:
        if (name,) in known(COSTS, 'entry'): continue
        write(dict(entry=name, minutes=f'{minutes(table, ENTRIES[name], keep):.1f}'), COSTS)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='*', help='entries to train; all by default')
    parser.add_argument('--seeds', type=int, nargs='*', default=[0, 1, 2])
    parser.add_argument('--pack', help='folder with the packed patches; made if it is missing')
    parser.add_argument('--keep', type=Path, help='folder for predictions and networks')
    parser.add_argument('--threads', type=int)
    parser.add_argument('--cost', action='store_true', help='only measure how long it would take')
    args = parser.parse_args()
    print(start(args.threads))
    data = os.environ.get('HISTO_META_DATA')
    names = args.names or list(ENTRIES)
    odd = [name for name in names if name not in ENTRIES]
    if odd: parser.error(f'no entry {odd[0]!r}; choose from {", ".join(ENTRIES)}')
    with tempfile.TemporaryDirectory() as tmp:
        pack = Path(args.pack or f'{tmp}/pcam')
        if not (data or pack.exists()): parser.error('set HISTO_META_DATA to real patches')
        if not pack.exists(): pack_patches(Path(data)/'pcam', pack)
        table = packed_table(pack)
        keep = args.keep or Path(tmp)
        if args.cost: return measure_costs(table, names, keep)
        for seed in args.seeds:
            for name in names:
                if (name, str(seed)) not in known(RESULTS, 'entry', 'seed'):
                    measure_new(table, name, seed, keep)


if __name__ == '__main__': main()
