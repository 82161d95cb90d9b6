# SPDX-License-Identifier: Apache-2.0
"""The page of `auxin locks --html`, in a browser: it shows the report, and one can work with it."""
import json
import os
import re
import signal
import socket
import subprocess

from harness import group, paths, processes
from pages import page_case

TABS = ("operation", "call", "library", "join_point", "path", "steps")


def as_number(text):
    return float(re.match(r"[\d.,]+", text).group().replace(",", ""))


class LockPageTest(page_case.PageCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        port = paths.free_port()
        cls.path = cls.directory / "page.html"
        done = cls.auxin("locks", "--json", "--html", cls.path, "--load", cls.load(port, "mixed"),
                         "--load", cls.load(port, "queue"), *cls.bank(port))
        cls.report = json.loads(done.stdout)

    def setUp(self):
        self.page = self.open(self.path)

    def test_it_shows_what_the_report_says(self):
        report, page = self.report, self.page
        for row in ("intercepted", "ordered"):
            columns = report["columns"][row]
            for column in ("os_only", "multi_level"):
                figure = self.texts(page, f'[data-cell="{row}-{column.replace("_", "-")}"] .figure')
                self.assertEqual(float(figure[0]), columns[column]["median"], f"{row} {column}")
            ratio = self.texts(page, f'[data-cell="{row}-ratio"] .figure')[0]
            self.assertAlmostEqual(float(ratio.split()[0]), 100 * columns["ratio"], delta=0.06)
        self.assertIn(f"Of {report['columns']['intercepted']['os_only']['median']:g} "
                      "synchronisation calls", self.texts(page, "#claim")[0])
        self.assertIn(f"{report['warm_up_requests']} requests", self.texts(page, "#about")[0])
        self.assertTrue(page.evaluate("document.querySelector('#remarks').hidden"))
        self.assertGreater(self.count(page, ".flame-box"), 20)
        self.assertEqual(self.texts(page, "#command"), [report["title"]])

    def test_the_request_runs_through_the_layers(self):
        steps = self.report["timeline"]["steps"]
        page = self.page
        self.assertEqual(self.count(page, ".request .target"), len(steps))
        for verdict in ("passed", "intercepted", "ordered"):
            self.assertEqual(self.count(page, f".request .dot.{verdict}"),
                             sum(step["verdict"] == verdict for step in steps))
        entered = sum(step["what"].startswith("enter ") for step in steps)
        self.assertEqual(self.count(page, ".request .marker"), entered)
        self.assertEqual(set(self.texts(page, ".request .lane-name")),
                         {"Meta-markers", "Application", "ORB", "Operating system"})
        self.assertIn("upcall", self.texts(page, ".request .marker-name"))
        places = """[...document.querySelectorAll(".request .dot")].sort(
            (a, b) => a.dataset.of - b.dataset.of).map(
            (it) => { const box = it.getBoundingClientRect(); return box.x + box.width / 2; })"""
        by_step = page.evaluate(places)
        page.evaluate("""(() => { const it = document.querySelector("#request-scale");
            it.value = "time"; it.dispatchEvent(new Event("change")); })()""")
        to_scale = page.evaluate(places)
        self.assertNotEqual(by_step, to_scale)
        for place, following in zip(to_scale, to_scale[1:]):
            self.assertLess(place, following + 0.1, "time goes to the right")
        page.evaluate("document.querySelector('.request .target').focus()")
        page.key("ArrowRight")
        self.assertEqual(page.evaluate("document.activeElement.dataset.step"), "1")
        self.assertIn(steps[1]["what"], self.texts(page, "#tooltip")[0])

    def test_a_table_is_sorted_by_any_column_both_ways(self):
        self.click_on(self.page, "#tab-path")
        head = '[data-table="path"] th[data-key="{}"]'
        for key, label in (("ordered", "Ordered"), ("per_request", "In a request")):
            for order in ("descending", "ascending"):
                self.click_on(self.page, head.format(key) + " button")
                self.assertEqual(self.page.evaluate(
                    f"document.querySelector({head.format(key)!r}).ariaSort"), order)
                shown = [as_number(cell) for cell in self.column(self.page, "path", label)]
                self.assertEqual(shown, sorted(shown, reverse=order == "descending"))
        self.click_on(self.page, head.format("path") + " button")
        calls = [cell.split(" ")[0] for cell in self.column(self.page, "path", "Call and path")]
        self.assertEqual(calls, sorted(calls))

    def test_a_table_is_filtered_by_words_anywhere_in_the_path(self):
        page = self.page
        self.click_on(page, "#tab-path")
        everything = len(self.report["by_path"])
        self.assertIn(f"{everything} rows", self.texts(page, '[data-table="path"] .count'))
        wanted = [row for row in self.report["by_path"]
                  if row["call"] == "pthread_mutex_lock"
                  and any("deposit" in frame.lower() for frame in row["path"])]
        self.assertTrue(0 < len(wanted) < everything)
        self.type_into(page, '[data-table="path"] input', "DEPOSIT pthread_mutex_lock")
        self.assertEqual(self.count(page, '[data-table="path"] tbody tr'), min(len(wanted), 50))
        self.assertEqual(self.texts(page, '[data-table="path"] .count'),
                         [f"{len(wanted)} of {everything} rows"])
        self.type_into(page, '[data-table="path"] input', "no such word")
        self.assertEqual(self.texts(page, '[data-table="path"] tbody'),
                         ["Nothing matches the filter."])
        self.type_into(page, '[data-table="path"] input', "")
        self.assertEqual(self.count(page, '[data-table="path"] tbody tr'), min(everything, 50))
        if everything > 50:
            self.click_on(page, '[data-table="path"] .more')
            self.assertEqual(self.count(page, '[data-table="path"] tbody tr'), everything)

    def test_every_table_has_the_rows_of_the_report(self):
        for name in ("operation", "call", "library", "join_point"):
            self.click_on(self.page, f"#tab-{name}")
            rows = len(self.report[f"by_{name}"])
            self.assertEqual(self.count(self.page, f'[data-table="{name}"] tbody tr'), rows)

    def boxes(self):
        return dict(self.page.evaluate("""[...document.querySelectorAll(".flame-box")].map(
            (it) => [it.ariaLabel, it.getBoundingClientRect().width])"""))

    def test_a_box_is_as_wide_as_its_share_of_the_calls(self):
        boxes = self.page.evaluate("""[...document.querySelectorAll(".flame-box")].map(
            (it) => [it.ariaLabel, it.getBoundingClientRect().width])""")
        whole = max(width for _, width in boxes)
        for label, width in boxes:
            calls = int(re.search(r", ([\d,]+) calls?, ", label)[1].replace(",", ""))
            share = calls / self.report["total"]
            self.assertAlmostEqual(width, whole * share, delta=0.5, msg=label)

    def test_the_flame_graph_is_zoomed_by_mouse_and_keys(self):
        page = self.page
        before = self.boxes()
        label, width = next((label, width) for label, width in before.items()
                            if "omniOrbPOA::dispatch" in label)
        whole = max(before.values())
        self.assertLess(width, whole * 0.9)
        self.click_on(page, f".flame-box[aria-label={json.dumps(label)}]")
        after = self.boxes()
        self.assertAlmostEqual(after[label], whole, delta=1)
        self.assertLess(len(after), len(before))
        self.assertRegex(self.texts(page, "#flame-status")[0],
                         r"^[\d.]+ % of the calls: omni::omniOrbPOA::dispatch$")
        page.key("ArrowDown")
        below = page.evaluate("document.activeElement.ariaLabel")
        self.assertNotEqual(below, label)
        page.key("Enter")
        self.assertAlmostEqual(self.boxes()[below], whole, delta=1)
        page.key("Escape")
        self.assertEqual(self.boxes(), before)

    def test_the_flame_graph_is_searched_and_measured(self):
        page = self.page
        self.type_into(page, "#flame-search", "upcall")
        matching = self.texts(page, ".flame-box.match")
        self.assertTrue(matching)
        self.assertEqual(self.count(page, ".flame-box.other"),
                         self.count(page, ".flame-box") - len(matching))
        self.assertRegex(self.texts(page, "#flame-status")[0], r"^[\d.]+ % of the calls match$")
        self.type_into(page, "#flame-search", "")
        self.assertEqual(self.count(page, ".flame-box.match, .flame-box.other"), 0)
        page.evaluate("""(() => { const it = document.querySelector("#flame-measure");
            it.value = "ordered"; it.dispatchEvent(new Event("change")); })()""")
        self.assertEqual(self.texts(page, "#flame-status"), [f"{self.report['ordered']:,} calls"])
        for label in self.boxes():
            self.assertNotRegex(label, ", 0 ordered", "nothing else has a width")

    def test_a_box_tells_what_it_is_when_it_is_pointed_at(self):
        page = self.page
        self.assertEqual(self.count(page, "#tooltip[hidden]"), 1)
        x, y = page.evaluate("""(() => { const it = document.querySelectorAll(".flame-box")[4];
            it.scrollIntoView({block: "center", behavior: "instant"});
            const box = it.getBoundingClientRect(); return [box.x + 9, box.y + 9]; })()""")
        page.point(x, y)
        page.settle()
        told = self.texts(page, "#tooltip:not([hidden])")[0]
        self.assertIn("Ordered", told)
        self.assert_nothing_outside(page, "with the tooltip")

    def test_nothing_is_outside_of_a_wide_or_a_narrow_window(self):
        for width in (1280, 400):
            page = self.open(self.path, width=width)
            for name in TABS:
                self.click_on(page, f"#tab-{name}")
                self.assert_nothing_outside(page, f"{name} at {width}")
        # The same page, its window made narrow.
        self.page.resize(400)
        self.page.settle()
        self.assert_nothing_outside(self.page, "made narrow")
        self.assertEqual(self.count(self.page, ".request.narrow"), 1)

    def test_both_schemes_can_be_read(self):
        contrast = """(() => {
          const light = (colour) => {
            const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => {
              const c = part / 255;
              return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const paper = light(getComputedStyle(document.body).backgroundColor);
          return ["body", ".lead", ".count", "#claim em", "nav a", ".flame-box"].map((selector) => {
            const ink = light(getComputedStyle(document.querySelector(selector)).color);
            return [selector, (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)];
          });
        })()"""
        papers = set()
        for scheme in ("light", "dark"):
            page = self.open(self.path, scheme=scheme)
            papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            for selector, ratio in page.evaluate(contrast):
                self.assertGreater(ratio, 4.5, f"{selector} in {scheme}")
        self.assertEqual(len(papers), 2)
        self.click_on(page, "#scheme")
        self.assertEqual(page.evaluate("document.documentElement.dataset.scheme"), "light")

    def test_it_is_one_file_of_the_owners(self):
        self.assert_alone(self.path, self.page)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)
        self.assertEqual([it.name for it in self.directory.iterdir()], [self.path.name])


class OddPagesTest(page_case.PageCase):
    def test_a_group_that_runs_is_watched_for_a_page(self):
        port = paths.free_port()
        path = self.directory / "watched.html"
        command = self.bank(port)[1:]
        with group.Group(self, command, port=port, replicas=1, key=b"Bank") as bank:
            # It ends when it is told to: nobody knows how long the watching takes to begin.
            load = subprocess.Popen(["/bin/sh", "-c", self.load(port, "deposit", calls=10**7)],
                                    start_new_session=True)
            try:
                processes.await_true(lambda: bank.status()["requests"] > 100, 20, "it is loaded")
                done = bank.auxin("locks", bank.name, "--for", "0.3", "--html", str(path))
                self.assertEqual(done.returncode, 0, done.stderr)
                refused = bank.auxin("locks", bank.name, "--for", "0", "--html", str(path))
                self.assertEqual(refused.returncode, 2)
            finally:
                os.killpg(load.pid, signal.SIGKILL)
                load.wait(60)
        page = self.open(path)
        self.assertIn("1 has to be ordered", self.texts(page, "#claim")[0])
        self.assertIn("watched for 0.3 s", self.texts(page, "#command")[0])

    def test_names_are_shortened_as_a_reader_would(self):
        source = (paths.ROOT / "cli/pages/shared.js").read_text()
        function = re.search(r"^function short_name.*?^}", source, re.MULTILINE | re.DOTALL)[0]
        page = self.browser.open("/dev/null", ready="true")
        self.addCleanup(page.close)
        for name, short in (
                ("bank::AccountServant::deposit(long)", "bank::AccountServant::deposit"),
                ("std::map<int, std::vector<a::b> >::find(int const&) const", "std::map::find"),
                ("void foo<int>(std::vector<int> const&)", "foo"),
                ("std::function<void ()>::operator()() const", "std::function::operator()"),
                ("std::ostream& a::operator<< <int>(std::ostream&, int)", "a::operator<<"),
                ("a::operator bool() const", "a::operator bool"),
                ("operator new(unsigned long)", "operator new"),
                ("(anonymous namespace)::run(void*)", "{anonymous}::run"),
                ("virtual thunk to a::~a()", "a::~a"),
                ("run[abi:cxx11](int) [clone .part.0]", "run"),
                ("libfoo.so+0x1234", "libfoo.so+0x1234"),
                ("<>", "<>"), ("", "")):
            self.assertEqual(page.evaluate(f"({function})({json.dumps(name)})"), short, name)

    def test_names_that_look_like_markup_stay_text(self):
        port = paths.free_port()
        kept, path = self.directory / "kept", self.directory / "hostile.html"
        hostile = "</script ><img src=x onerror=document.title='owned'>"
        connect = f"for i in 1 2 3; do cat < /dev/tcp/127.0.0.1/{port}; done"
        self.auxin("discover", "--record", kept, "--load", f"bash -c '{connect}'", "--",
                   paths.program("hostile_names"), port, hostile)
        report = json.loads(self.auxin("locks", "--json", "--trace", kept, "--html", path).stdout)
        self.assertIn(hostile, json.dumps(report["tree"]), "the name was recorded")
        page = self.open(path)
        self.assertEqual(self.count(page, "img"), 0)
        self.assertEqual(self.count(page, "script"), 2)
        self.assertTrue(page.evaluate("document.title").startswith("auxin locks: "))
        self.assertIn(hostile, self.texts(page, "#command")[0])
        labels = page.evaluate("[...document.querySelectorAll('.flame-box')].map("
                               "(it) => it.ariaLabel).join(' ')")
        self.assertIn("img src=x", labels)
        self.click_on(page, "#tab-path")
        page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
        self.assertIn(hostile, "\n".join(self.texts(page, '[data-table="path"] li')))
        for width in (1280, 400):
            page.resize(width)
            page.settle()
            self.assert_nothing_outside(page, width)
        self.assertEqual(page.requests(), [path.as_uri()])

    def test_a_recording_without_a_request_is_a_page_too(self):
        port = paths.free_port()
        path = self.directory / "none.html"
        self.auxin("locks", "--html", path, "--load", "true", *self.bank(port))
        page = self.open(path)
        self.assertEqual(self.texts(page, "#claim"), ["No request was recorded"])
        self.assertIn("no request was seen", self.texts(page, "#remarks")[0])
        self.assertEqual(self.count(page, ".request"), 0)
        for width in (1280, 400):
            page.resize(width)
            page.settle()
            self.assert_nothing_outside(page, width)

    def test_the_measured_costs_are_shown(self):
        port = paths.free_port()
        path = self.directory / "cost.html"
        self.auxin("locks", "--measure", "--rounds", "1", "--html", path, "--load",
                   self.load(port, "deposit"), *self.bank(port))
        page = self.open(path)
        self.assertEqual(sorted(self.column(page, "cost", "Form")),
                         ["every lock", "multi-level", "native", "preloaded"])
        for width in (1280, 400):
            page.resize(width)
            page.settle()
            self.assert_nothing_outside(page, width)

    def test_a_page_that_cannot_be_written_is_refused_before_the_server_runs(self):
        port = paths.free_port()
        with socket.create_server(("127.0.0.1", port)):  # the server could not even start
            absent = self.directory / "absent" / "page.html"
            done = self.auxin("locks", "--html", absent, *self.bank(port), status=2)
            self.assertEqual(done.stderr, f"auxin: {absent}: can't be written: "
                                          "No such file or directory\n")
            done = self.auxin("locks", "--html", self.directory, *self.bank(port), status=2)
            self.assertIn("Is a directory", done.stderr)
        done = self.auxin("locks", "--html", self.directory / "page.html", "--pid", "1", status=2)
        self.assertIn("--html needs a recording", done.stderr)
        self.assertFalse((self.directory / "page.html").exists())
