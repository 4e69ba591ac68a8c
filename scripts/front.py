"""The picture of the front page: python scripts/front.py RUN EVALUATION SLIDE_RUN SLIDE

RUN and EVALUATION: the reference run, and its folder `evaluations/valid` (`make reference`). SLIDE_RUN: a run that was
trained on synthetic slides, as in the tutorial on slides. SLIDE: a synthetic slide that it has not seen, a .tif, with
its .xml in the same folder.
"""
import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from histo_meta.annotation import read_annotation
from histo_meta.base import theme
from histo_meta.heatmap import plot_heatmap
from histo_meta.interpret import operating_point
from histo_meta.plots import plot_roc
from histo_meta.report import score_arrays
from histo_meta.run import Run, run_point
from histo_meta.slide import Slide
from histo_meta.slide_run import predict_slide

PICTURE = Path(__file__).parents[1]/'nbs/images/front.png'


def roc(ax, run, evaluation):
    "The reference run on patches of other slides"
    y, p, slide = score_arrays(pd.read_csv(evaluation/'predictions.csv', dtype={'id': str, 'slide': str}))
    point = operating_point(y, p, threshold=run_point(run).threshold, slide=slide)
    name = f"{run.config['members']} x {run.config['arch'].removeprefix('timm/tf_')}"
    plot_roc(y, p, slide, point, name, ax)
    ax.set_title('Real tissue: patches of other slides\n')


def heatmap(ax, run, path):
    "A synthetic slide, with what the model found and where the tumor is"
    with Slide(path) as slide:
        result = predict_slide(run.predictor(), slide)
        plot_heatmap(slide, result.grid, result.lesions, read_annotation(path.with_suffix('.xml'), slide).region, ax=ax)
    ax.set_title('Synthetic tissue: a slide that the model has not seen')


@theme()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('run', 'evaluation', 'slide_run', 'slide'): parser.add_argument(name, type=Path)
    args = parser.parse_args()
    fig, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.8), width_ratios=(1, 1.35))
    roc(left, Run(args.run), args.evaluation)
    heatmap(right, Run(args.slide_run), args.slide)
    fig.savefig(PICTURE, dpi=120)


if __name__ == '__main__': main()
