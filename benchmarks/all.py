"All benchmarks of speed, one after the other, into benchmarks/RESULTS.md: make bench"
import sys
from pathlib import Path

from bench import DEVICE, alone, write_section

HERE = Path(__file__).parent
ARCHS = ['resnet18', 'resnet34']
TRAINED_ARCHS = ARCHS + ['resnet50']*(DEVICE.type == 'cuda')
CHECKPOINT_ARCHS = ['timm/tf_efficientnet_lite0', 'resnet34']
RUNS = {'Loading, on one core': [['loading.py']],
        'Training': [['training.py', '--arch', arch] for arch in TRAINED_ARCHS],
        'Training, change by change': [['steps.py']],
        'Training next to a busy process': [['training.py', '--busy']],
        'Cost against the number of patches': [['scaling.py']],
        'Batch transforms': [['transforms.py']],
        'Inference': [['inference.py', '--arch', arch] for arch in ARCHS],
        'Inference with the networks of the recipe': [['chosen.py']],
        'Checkpoints': [['checkpoints.py', '--arch', arch] for arch in CHECKPOINT_ARCHS],
        'Packing': [['packing.py']],
        'Evaluation': [['interpret.py']]}


def result(name, *args):
    "What a script prints, or why it failed; and whether it worked"
    print(name, *args, flush=True)
    try: return alone(HERE/name, *args).strip(), True
    except SystemExit as e: return f'Failed: {str(e).strip().splitlines()[-1]}', False


def main():
    all_worked = True
    for title, commands in RUNS.items():
        texts, worked = zip(*(result(*command) for command in commands))
        write_section(title, [' '.join(command) for command in commands], texts)
        all_worked = all_worked and all(worked)
    if not all_worked: sys.exit(1)


if __name__ == '__main__': main()
