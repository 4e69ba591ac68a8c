"All benchmarks of speed, one after the other, into benchmarks/RESULTS.md: make bench"
import datetime
from pathlib import Path

from bench import alone

HERE = Path(__file__).parent
RUNS = {'Loading, on one core': [['loading.py']],
        'Training': [['training.py', '--arch', arch] for arch in ('resnet18', 'resnet34')],
        'Training, change by change': [['steps.py']],
        'Training next to a busy process': [['training.py', '--busy']],
        'Memory of an epoch': [['training.py', '--memory']],
        'Batch transforms': [['transforms.py']],
        'Inference': [['inference.py', '--arch', arch] for arch in ('resnet18', 'resnet34')],
        'Packing': [['packing.py']],
        'Evaluation': [['interpret.py']]}


def main():
    parts = ['# Results of the benchmarks', f'Written by `make bench` on {datetime.date.today()}. Ratios are medians '
             'over rounds in which the contestants take turns.']
    for title, commands in RUNS.items():
        parts.append(f'## {title}')
        for name, *args in commands:
            print(name, *args, flush=True)
            parts.append(f'`python benchmarks/{" ".join([name, *args])}`')
            parts.append(alone(HERE/name, *args).strip())
        (HERE/'RESULTS.md').write_text('\n\n'.join(parts) + '\n')


if __name__ == '__main__': main()
