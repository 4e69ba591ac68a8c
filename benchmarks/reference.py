"""The scores of the reference runs, into RESULTS.md: python benchmarks/reference.py FOLDER

`make reference` trains and evaluates them, each in a folder below FOLDER.
"""
import argparse
import datetime
from pathlib import Path

from bench import markdown, start, write_section

from histo_meta.files import read_json
from histo_meta.report import estimate_text
from histo_meta.run import Run

SCORES = dict(auc='AUC', accuracy='accuracy at 0.5', ece='calibration error',
              specificity_at_sensitivity_99='specificity at 99% sensitivity',
              sensitivity='sensitivity at the stored threshold',
              specificity='specificity at the stored threshold')


def row(folder):
    "What a run is, and its scores on other slides"
    run, found = Run(folder), read_json(folder/'evaluations'/'valid'/'metrics.json', 2**27)
    model, config = run.info.model, run.config
    what = (f"{config['members']} x {config['arch']} {model['weights']}, {config['size']} pixels, "
            f"{config['recipe']['epochs']} epochs each")
    day = datetime.date.fromtimestamp((folder/'metrics.json').stat().st_mtime)
    return [folder.name, what, str(day), f"{model['seconds']/60:.0f}",
            f"{run.metrics['auc']['value']:.3f}",
            *(estimate_text(found[score]) for score in SCORES)]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path, help='folder with the runs')
    folder = parser.parse_args().folder
    runs = sorted(path.parents[2] for path in folder.glob('*/evaluations/valid/metrics.json'))
    if not runs: raise SystemExit(f'{folder}: no run that was evaluated on valid')
    head = ['run', 'model', 'trained on', 'minutes of training', 'AUC on held-out patches',
            *(f'{name}, other slides' for name in SCORES.values())]
    text = f'{start(patches="real patches")}\n\n{markdown(head, [row(run) for run in runs])}'
    write_section('Reference runs', [f'reference.py {folder}'], [text])
    print(text)


if __name__ == '__main__': main()
