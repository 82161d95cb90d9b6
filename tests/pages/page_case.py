# SPDX-License-Identifier: Apache-2.0
"""What every page has to be: shown without a complaint, within the window, from one file alone."""
import re
import shutil
import subprocess
import unittest

from harness import browser, paths

# Names of kinds of elements look like addresses, and nobody fetches them.
NAMESPACES = r'"http://www\.w3\.org/(2000/svg|1999/xlink)\\?"'

# Elements of which a part that can be seen stands outside of the window, or whose text is cut off.
# What a box hides (a picture that is moved about in its frame) is not seen.
OUTSIDE = """(() => {
  const found = [];
  const name = (it) => it.tagName + "." + (it.getAttribute("class") || it.id) + " " +
      it.textContent.trim().slice(0, 40);
  for (const it of document.body.querySelectorAll("*")) {
    if (!it.checkVisibility() || it.closest("defs, script, style, option")) continue;
    let { left, right, width } = it.getBoundingClientRect();
    if (width === 0) continue;
    for (let box = it.parentElement; box !== null; box = box.parentElement) {
      if (getComputedStyle(box).overflowX === "visible") continue;
      const clip = box.getBoundingClientRect();
      left = Math.max(left, clip.left);
      right = Math.min(right, clip.right);
    }
    if (right > left && (right > innerWidth + 0.5 || left < -0.5)) {
      found.push(`${name(it)}: ${left} to ${right}`);
    }
    const cut = getComputedStyle(it).overflowX !== "visible" && it.scrollWidth > it.clientWidth + 1;
    if (cut && it instanceof HTMLElement && !it.closest(".flame, .picture, input, select")) {
      found.push(`${name(it)}: cut off`);
    }
  }
  const whole = document.documentElement.scrollWidth;
  if (whole > innerWidth) found.push(`the page is ${whole} wide`);
  return found;
})()"""


class PageCase(unittest.TestCase):
    timeout_s = 180

    @classmethod
    def setUpClass(cls):
        cls.directory = paths.scratch_dir()
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.browser = cls.enterClassContext(browser.Browser())

    @classmethod
    def auxin(cls, *words, status=0):
        done = subprocess.run([paths.program("auxin"), *map(str, words)], capture_output=True,
                              text=True, timeout=120)
        if done.returncode != status:
            raise AssertionError(f"auxin {words}: {done.returncode}: {done.stderr}")
        return done

    @classmethod
    def bank(cls, port):
        return ["--", paths.program("bank_server"), "-ORBendPoint", f"giop:tcp:127.0.0.1:{port}"]

    @classmethod
    def load(cls, port, mix, calls=200):
        return (f"{paths.program('bank_load')} 127.0.0.1:{port} --clients 2 --calls {calls} "
                f"--mix {mix} > /dev/null")

    def open(self, path, **options):
        page = self.browser.open(path, **options)
        page.settle()
        self.addCleanup(page.close)
        self.addCleanup(lambda: self.assertEqual(page.errors(), []))
        return page

    def texts(self, page, selector):
        return page.evaluate(f"[...document.querySelectorAll({selector!r})]"
                             ".map((it) => it.textContent.trim())")

    def count(self, page, selector):
        return page.evaluate(f"document.querySelectorAll({selector!r}).length")

    def type_into(self, page, selector, text):
        page.evaluate(f"(() => {{ const it = document.querySelector({selector!r}); it.value = "
                      f"{text!r}; it.dispatchEvent(new Event('input')); }})()")

    def click_on(self, page, selector):
        x, y = page.evaluate(
            f"(() => {{ const it = document.querySelector({selector!r}); it.scrollIntoView("
            "{block: 'center', behavior: 'instant'}); const box = it.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()")
        page.click(x, y)
        page.settle()

    def assert_nothing_outside(self, page, what):
        self.assertEqual(page.evaluate(OUTSIDE), [], what)

    def assert_alone(self, path, page):
        """The file names no address, and the browser asked for none."""
        text = re.sub(NAMESPACES, "", path.read_text())
        for reference in (r"https?:", r"\bsrc\s*=\s*[\"']", r"<link\b", r"url\(", r"@import",
                          r"\bfetch\(", r"XMLHttpRequest", r"\bimport\b\s*[(\"']"):
            self.assertIsNone(re.search(reference, text), reference)
        self.assertEqual(set(re.findall(r'href="([^"]{0,1})', text)), {"#"})
        self.assertEqual(page.requests(), [path.as_uri()])

    def column(self, page, table, label):
        return self.texts(page, f'[data-table="{table}"] td[data-label="{label}"]')
