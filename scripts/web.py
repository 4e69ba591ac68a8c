"Try the web page of a model in a real browser: python scripts/web.py [--folder F] [--pictures FOLDER]"
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from histo_meta.base import RESEARCH_ONLY

PHONE = dict(width=380, height=780)
LIMIT = 120_000   # milliseconds that a step may take on a busy machine


def make_run(folder):
    "A run that knows what it does, and two slides"
    from histo_meta.core import train_learner
    from histo_meta.run import save_run
    from histo_meta.sample import make_sample
    from histo_meta.sample_slide import make_slide
    data = make_sample(folder/'sample', n=1000, slides=25)
    learn = train_learner(data, arch='timm/tf_efficientnet_lite0', size=96, epochs=4, lr=2e-3, split='slide',
                          num_workers=0, progress=False)
    save_run(learn, folder/'runs/lite0')
    for i, lesion in enumerate(['micro', 'itc']):
        make_slide(folder/'slides', f'slide_{i}', lesions=[lesion], seed=i, width=2000, height=1700)


def make_images(folder):
    "Files as users drop them: good ones, and others"
    for i, path in enumerate(sorted((folder/'sample/test').glob('*.tif'))[:8]): shutil.copy(path, folder/f'patch_{i}.tif')
    (folder/'text.png').write_text('This is no picture')
    Image.fromarray(np.zeros((10_000, 10_000, 3), np.uint8)).save(folder/'large.png')
    with open(folder/'huge.png', 'wb') as file: file.truncate(2**31)   # 2 GB of zeros


@contextmanager
def serving(folder):
    "`histo_app`: yields the address of its page"
    shutil.rmtree(folder/'tmp', ignore_errors=True)
    (folder/'tmp').mkdir()
    command = [Path(sys.executable).with_name('histo_app'), 'runs/lite0', '--slides', 'slides']
    began = time.perf_counter()
    server = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True,
                              env=dict(os.environ, TMPDIR=str(folder/'tmp')))
    line = server.stdout.readline()
    print(f'the page is open after {time.perf_counter() - began:.1f} s: {line.strip()}')
    try: yield line.split()[1]
    finally:
        server.terminate()
        code, left = server.wait(20), list((folder/'tmp').glob('histo_app-*'))
    assert code == 0 and not left, f'exit code {code}, {left} is left'


class Visitor:
    "A browser with a session of its own"
    def __init__(self, browser, url, **options):
        self.context = browser.new_context(accept_downloads=True, **options)
        self.page, self.requests, self.errors = self.context.new_page(), [], []
        self.page.set_default_timeout(LIMIT)
        self.page.on('request', lambda request: self.requests.append(request.url))
        self.page.on('pageerror', lambda error: self.errors.append(str(error)))
        self.page.goto(url)
        expect(self.page.get_by_role('tab', name='Patch')).to_be_visible()

    def __enter__(self): return self
    def __exit__(self, kind, *args):
        self.context.close()
        if kind: return
        hosts = {urlsplit(url).hostname for url in self.requests if not url.startswith(('data:', 'blob:'))}
        assert hosts == {'127.0.0.1'}, f'requests to {hosts}'
        assert not self.errors, self.errors

    def drop(self, *paths): self.page.locator('input[type=file]').first.set_input_files(paths)
    def tab(self, name): self.page.get_by_role('tab', name=name, exact=True).click()
    def button(self, name): return self.page.get_by_role('button', name=name, exact=True)
    def cards(self): return self.page.locator('#answers section.answer')
    def picture(self, path): self.page.screenshot(path=path, full_page=True)


class Trial:
    "What every test needs"
    def __init__(self, browser, url, folder, pictures): self.browser, self.url, self.folder, self.pictures = browser, url, folder, pictures
    def visit(self, **options): return Visitor(self.browser, self.url, **options)
    def uploads(self): return sorted(p.name for p in (self.folder/'tmp').rglob('*') if p.is_file())


# Tests: each takes a `Trial`

def test_upload(t):
    "Two images are dropped; both get a card, in order"
    with t.visit() as v:
        began = time.perf_counter()
        v.drop(t.folder/'patch_0.tif', t.folder/'patch_1.tif')
        expect(v.cards()).to_have_count(2, timeout=LIMIT)
        print(f'  two answers after {time.perf_counter() - began:.2f} s')
        expect(v.cards().nth(1)).to_contain_text('patch_1.tif')
        text = v.cards().first.inner_text()
        assert re.search(r'^(tumor|normal)$', text, re.M) and 'the model missed' in text and RESEARCH_ONLY in text, text


def test_neighbours(t):
    "As soon as the training patches are read, a card shows the nearest ones"
    def has_neighbours():
        with t.visit() as v:
            v.drop(t.folder/'patch_0.tif')
            expect(v.cards()).to_have_count(1, timeout=LIMIT)
            v.picture(t.pictures/'patch.png')
            return v.cards().first.get_by_text('distance').count() == 4
    until(has_neighbours, seconds=120)


def test_example(t):
    "An example is one click away, also with the keyboard alone"
    with t.visit() as v:
        for _ in range(40):
            v.page.keyboard.press('Tab')
            if v.page.evaluate('document.activeElement.innerText') == 'Example with tumor': break
        else: raise AssertionError('the button cannot be reached with the Tab key')
        v.page.keyboard.press('Enter')
        expect(v.cards()).to_have_count(1, timeout=LIMIT)
        expect(v.cards().first).to_contain_text('synthetic patch')


def test_bad_files(t):
    "Each bad file gets a reason, and good ones next to it an answer"
    with t.visit() as v:
        v.drop(t.folder/'text.png', t.folder/'patch_0.tif', t.folder/'large.png')
        expect(v.cards()).to_have_count(3, timeout=LIMIT)
        expect(v.cards().nth(0)).to_contain_text('not a TIFF, PNG, JPEG, BMP or WebP image')
        expect(v.cards().nth(1)).to_contain_text('Probability of tumor')
        expect(v.cards().nth(2)).to_contain_text('looks like a slide')
        v.picture(t.pictures/'bad.png')
    with t.visit() as v:
        v.drop(t.folder/'huge.png')
        expect(v.page.get_by_text(re.compile('exceeds|too large|maximum', re.I)).first).to_be_visible(timeout=LIMIT)
        expect(v.cards()).to_have_count(0)


def test_two_sessions(t):
    "Two users at once do not see each other's images, and the images of one who leaves are deleted"
    with t.visit() as a:
        with t.visit() as b:
            a.drop(t.folder/'patch_2.tif')
            b.drop(t.folder/'patch_3.tif')
            for v, name, other in ((a, 'patch_2', 'patch_3'), (b, 'patch_3', 'patch_2')):
                expect(v.cards()).to_have_count(1, timeout=LIMIT)
                expect(v.cards()).to_contain_text(name)
                assert other not in v.page.content(), other
        until(lambda: 'patch_3.tif' not in t.uploads())
        assert 'patch_2.tif' in t.uploads()
    until(lambda: 'patch_2.tif' not in t.uploads())


def until(true, seconds=30):
    "Wait until a condition holds"
    began = time.perf_counter()
    while not true():
        assert time.perf_counter() - began < seconds, 'waited in vain'
        time.sleep(.2)


def test_slide(t):
    "A slide is chosen; the heat map fades with the slider; GeoJSON and CSV can be downloaded"
    with t.visit() as v:
        v.tab('Slide')
        v.button('Find tumor').click()
        expect(v.page.locator('.slide-map .heat')).to_be_visible(timeout=3*LIMIT)
        assert v.page.locator('.slide-map path').count() >= 1
        v.page.locator('section.slide input[type=range]').fill('20')
        assert v.page.locator('.slide-map .heat').evaluate('e => e.style.opacity') == '0.2'
        for kind, check in (('GeoJSON', lambda text: json.loads(text)['features']), ('CSV', lambda text: text.startswith('category'))):
            with v.page.expect_download() as download: v.page.get_by_text(f'Download {kind}').click()
            assert check(Path(download.value.path()).read_text()), kind
        v.picture(t.pictures/'slide.png')
        check_access(v, '#slide')


def test_run(t):
    "The tab of the run shows the report, and the model card"
    with t.visit() as v:
        v.tab('Run')
        frame = v.page.frame_locator('iframe.report')
        expect(frame.get_by_role('heading', name='lite0')).to_be_visible(timeout=LIMIT)
        v.page.get_by_text('Model card').click()
        expect(v.page.get_by_text('Use', exact=True).first).to_be_visible()
        v.picture(t.pictures/'run.png')


def test_phone(t):
    "On a phone nothing is wider than the screen, light and dark, and the warning stays in sight"
    for scheme in ('light', 'dark'):
        with t.visit(viewport=PHONE, color_scheme=scheme) as v:
            v.drop(t.folder/'patch_0.tif')
            expect(v.cards()).to_have_count(1, timeout=LIMIT)
            v.page.wait_for_timeout(500)
            assert v.page.evaluate('document.documentElement.scrollWidth') <= PHONE['width']
            v.page.mouse.wheel(0, 2000)
            expect(v.page.get_by_role('note')).to_be_in_viewport()
            v.picture(t.pictures/f'phone_{scheme}.png')
            for tab in ('Slide', 'Run'):
                v.tab(tab)
                v.page.wait_for_timeout(500)
                assert v.page.evaluate('document.documentElement.scrollWidth') <= PHONE['width'], tab
    with t.visit(color_scheme='dark') as v:
        v.drop(t.folder/'patch_0.tif')
        expect(v.cards()).to_have_count(1, timeout=LIMIT)
        v.picture(t.pictures/'dark.png')


def test_accessibility(t):
    "axe finds nothing serious on our parts of the page"
    with t.visit() as v:
        v.drop(t.folder/'patch_0.tif', t.folder/'text.png')
        expect(v.cards()).to_have_count(2, timeout=LIMIT)
        check_access(v, '#answers', '[role=note]', '[role=tablist]')
        assert v.page.locator('#answers').get_attribute('aria-live') == 'polite'


def check_access(v, *parts):
    "Raise an error for what axe calls serious in some parts of the page"
    found = [x for part in parts for x in Axe().run(v.page, part).response['violations']]
    serious = [(x['id'], n['target'], n['html'][:150]) for x in found if x['impact'] in ('serious', 'critical') for n in x['nodes']]
    assert not serious, serious


def test_leaving(t):
    "The files of a visitor who leaves before the answer comes are deleted"
    names = {f'patch_{i}.tif' for i in range(4, 8)}   # which no other visitor drops
    with t.visit() as v:
        v.drop(*(t.folder/name for name in sorted(names)))
        until(lambda: names <= set(t.uploads()))
        v.page.wait_for_timeout(300)   # the server has heard whose they are
    until(lambda: not names & set(t.uploads()))


TESTS = [value for name, value in list(globals().items()) if name.startswith('test_')]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', type=Path, help='keep the run and the images here, and use them again')
    parser.add_argument('--pictures', type=Path, help='folder for screenshots')
    parser.add_argument('--only', default='', help='a part of the names of the tests to run')
    args = parser.parse_args()
    chromium = shutil.which('chromium') or shutil.which('google-chrome')
    if not chromium: return print('make web: there is no Chromium, so nothing was tried; on Debian: apt-get install chromium')
    with tempfile.TemporaryDirectory() as tmp:
        folder, pictures = args.folder or Path(tmp), args.pictures or Path(tmp)/'pictures'
        folder.mkdir(exist_ok=True, parents=True), pictures.mkdir(exist_ok=True, parents=True)
        if not (folder/'runs').exists(): make_run(folder)
        make_images(folder)
        failed = run_tests(chromium, folder.resolve(), pictures, args.only)
    if failed: sys.exit(1)


def run_tests(chromium, folder, pictures, only):
    "The names of the tests that failed"
    failed, tests = [], [test for test in TESTS if only in test.__name__]
    with serving(folder) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=['--no-sandbox'])
        for test in tests:
            print(f'{test.__name__}: {test.__doc__}', flush=True)
            try: test(Trial(browser, url, folder, pictures))
            except Exception: failed.append(test.__name__), traceback.print_exc()
        browser.close()
    print(f'{len(tests) - len(failed)} passed, {len(failed)} failed')
    return failed


if __name__ == '__main__': main()
