"""How fast the web page answers, and whether its memory stays flat: python benchmarks/app.py [--uploads 500]

Trains a small run, serves it with `histo_app`, and talks to it as a browser does. Ends with an error if anything is
answered wrongly. With --write, the table goes into RESULTS.md.
"""
import argparse
import io
import json
import os
import secrets
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import requests
from bench import markdown, start, timed, write_section
from PIL import Image

from histo_meta.core import train_learner
from histo_meta.run import save_run
from histo_meta.sample import make_sample, sample_patches

HUGE = 2**31   # bytes of an upload that must be refused


class Visitor:
    "A browser tab, as the server sees it"
    def __init__(self, url):
        self.url, self.session, self.http = f'{url}gradio_api/', secrets.token_hex(6), requests.Session()
        config = requests.get(f'{url}config').json()
        self.ask = next(f['id'] for f in config['dependencies'] if f['outputs'] and ['change'] == [t[1] for t in f['targets']])

    def drop(self, *files):
        "HTML for some files, which are pairs of a name and their content"
        paths = self.http.post(f'{self.url}upload', files=[('files', file) for file in files]).json()
        data = [dict(path=path, orig_name=name, meta={'_type': 'gradio.FileData'}) for path, (name, _) in zip(paths, files)]
        body = dict(data=[data], fn_index=self.ask, session_hash=self.session, event_data=None, trigger_id=None)
        self.http.post(f'{self.url}queue/join', json=body).raise_for_status()
        with self.http.get(f'{self.url}queue/data', params=dict(session_hash=self.session), stream=True) as events:
            for line in events.iter_lines():
                message = json.loads(line[6:]) if line.startswith(b'data: ') else {}
                if message.get('msg') == 'process_completed':
                    assert message['success'], message
                    return message['output']['data'][0]


def png(rgb):
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, 'PNG')
    return file.getvalue()


def answered(html, *names):
    for name in names: assert f'Answer for {name}' in html, html[:500]


@contextmanager
def serving(folder):
    "The process of a page, its address, and the seconds until it was open"
    command = [Path(sys.executable).with_name('histo_app'), folder]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    line, seconds = timed(server.stdout.readline)
    try: yield server.pid, line.split()[1], seconds
    finally:
        server.terminate()
        server.wait(20)


def memory_mb(pid):
    status = Path(f'/proc/{pid}/status').read_text()
    return int(status.partition('VmRSS:')[2].split()[0])//1024


def one_by_one(visitor, pid, images, names):
    "Seconds of each answer, and the memory after each hundred"
    seconds, memory = [], []
    for k, (name, image) in enumerate(zip(names, images), 1):
        html, took = timed(visitor.drop, (name, image))
        answered(html, name)
        seconds.append(took)
        if k % 100 == 0: memory.append(memory_mb(pid))
    return np.array(seconds), memory


def ten_at_once(url, images, drops=5):
    "Seconds until ten visitors have their answers to some drops each"
    visitors = [Visitor(url) for _ in range(10)]
    def visit(k):
        for i in range(drops):
            name = f'{k}-{i}.png'
            html = visitors[k].drop((name, images[drops*k + i]))
            answered(html, name)
            assert html.count('Answer for') == 1, 'an answer to somebody else'
    with ThreadPoolExecutor(10) as pool: _, seconds = timed(lambda: list(pool.map(visit, range(10))))
    return seconds


def refusals(visitor, pid):
    "What each bad file is answered with"
    large = png(np.zeros((10_000, 10_000, 3), np.uint8))
    for content, name, words in ((large, 'large.png', 'looks like a slide'), (b'text', 'text.png', 'not a TIFF, PNG'),
                                 (b'text', '../../etc/passwd', 'the file name is a path')):
        assert words in visitor.drop((name, content)), name
    before = memory_mb(pid)
    zeros = (bytes(2**20) for _ in range(HUGE//2**20))
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="huge.png"\r\n\r\n'
    def body(): yield head; yield from zeros
    code = requests.post(f'{visitor.url}upload', data=body(), headers={'Content-Type': 'multipart/form-data; boundary=x'}).status_code
    assert code == 413, code
    return code, memory_mb(pid) - before


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--uploads', type=int, default=500)
    parser.add_argument('--write', action='store_true', help='write the table into RESULTS.md')
    args = parser.parse_args()
    machine = start(patches='synthetic patches')
    images = [png(rgb) for rgb in sample_patches(args.uploads, 20)[0]]
    with tempfile.TemporaryDirectory() as tmp:
        data = make_sample(Path(tmp)/'sample', n=200, slides=20)
        learn = train_learner(data, arch='timm/tf_efficientnet_lite0', epochs=1, size=160, lr=2e-3, split='slide',
                              num_workers=0, progress=False)
        run = save_run(learn, Path(tmp)/'runs/lite0').folder
        os.environ['TMPDIR'] = tmp
        with serving(run) as (pid, url, open_after):
            visitor = Visitor(url)
            html, first = timed(visitor.drop, ('first.png', images[0]))
            answered(html, 'first.png')
            names = [f'{k}.png' for k in range(args.uploads)]
            seconds, memory = one_by_one(visitor, pid, images, names)
            assert memory[-1] < 1.05*memory[0], memory
            together = ten_at_once(url, images)
            code, grown = refusals(visitor, pid)
    rows = [['from the start of the command until the page is open, s', f'{open_after:.1f}'],
            ['first answer, s', f'{first:.2f}'],
            [f'each of {args.uploads} further answers, s: median, slowest', f'{np.median(seconds):.2f}, {seconds.max():.2f}'],
            ['memory of the server after each hundred, MB', ', '.join(map(str, memory))],
            ['ten visitors at once, five patches each, s', f'{together:.1f}'],
            ['an upload of 2 GB: answer, and memory of the server that it took, MB', f'{code}, {grown}']]
    text = f'{machine}\n\n{markdown(["EfficientNet-Lite0, 160x160 pixels", ""], rows)}'
    print(text)
    if args.write: write_section('The web page', ['app.py'], [text])


if __name__ == '__main__': main()
