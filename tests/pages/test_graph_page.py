# SPDX-License-Identifier: Apache-2.0
"""The page of `auxin discover --html`, in a browser: the graph can be moved about in and searched,
and its tables have all of it."""
import json
import os
import re

from harness import paths
from pages import page_case

HOSTILE = "</script ><img src=x onerror=document.title='owned'>"


class GraphPageTest(page_case.PageCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        port = paths.free_port()
        cls.kept, cls.path = cls.directory / "kept", cls.directory / "page.html"
        cls.auxin("discover", "--group", "--record", cls.kept, "--load", cls.load(port, "mixed"),
                  *cls.bank(port))
        cls.graph = cls.written(cls.path, "--trace", cls.kept)

    @classmethod
    def written(cls, path, *words):
        return json.loads(cls.auxin("discover", "--json", "--html", path, *words).stdout)

    def setUp(self):
        self.page = self.open(self.path)

    def view(self, page=None):
        text = (page or self.page).evaluate(
            "document.querySelector('.picture').getAttribute('viewBox')")
        return [float(part) for part in text.split()]

    def most_called(self):
        return max(self.graph["nodes"], key=lambda node: node["count"])

    def test_it_shows_the_graph(self):
        page, graph = self.page, self.graph
        threads = sum(node["kind"] == "thread" for node in graph["nodes"])
        self.assertTrue(self.texts(page, "#claim")[0].startswith(f"{threads} threads, "))
        self.assertEqual(self.texts(page, "#command"), [graph["title"]])
        self.assertIn("none: as it was recorded", self.texts(page, "#about")[0])
        drawn = min(150, len(graph["nodes"]))
        self.assertEqual(self.count(page, ".picture .node[data-node]"), drawn)
        # Each group stands for the node whose label it shows.
        shown = page.evaluate("[...document.querySelectorAll('.picture .node.lock')].map((it) =>"
                              "[Number(it.dataset.node), it.querySelector('text').textContent])")
        self.assertTrue(shown)
        for number, label in shown:
            node = graph["nodes"][number]
            self.assertEqual(node["kind"], "lock")
            self.assertTrue(node["name"].startswith(label.rstrip("…").rstrip()), (node, label))
        ordered = {number for number, node in enumerate(graph["nodes"]) if node["ordered"] > 0}
        marked = set(page.evaluate("[...document.querySelectorAll('.picture .node.ordered')].map("
                                   "(it) => Number(it.dataset.node))"))
        self.assertTrue(marked)
        self.assertLessEqual(marked, ordered)

    def test_it_is_moved_and_zoomed_by_mouse_buttons_and_keys(self):
        page = self.page
        whole = self.view()
        self.click_on(page, "#graph-larger")
        larger = self.view()
        self.assertAlmostEqual(larger[2], whole[2] / 1.5, delta=whole[2] / 1000)
        x, y = page.evaluate("(() => { const box = document.querySelector('.picture')"
                             ".getBoundingClientRect(); return [box.x + 300, box.y + 200]; })()")
        page.drag(x, y, x + 90, y + 40)
        moved = self.view()
        self.assertLess(moved[0], larger[0])
        self.assertLess(moved[1], larger[1])
        self.assertEqual(moved[2], larger[2])
        page.evaluate("document.querySelector('.picture').focus()")
        page.key("ArrowRight")
        self.assertGreater(self.view()[0], moved[0])
        self.click_on(page, "#graph-fit")
        self.assertEqual([round(part) for part in self.view()], [round(part) for part in whole])

    def test_a_search_marks_what_it_finds_and_goes_there(self):
        page = self.page
        everything = self.count(page, ".picture .node[data-node]")
        self.type_into(page, "#graph-search", "AccountServant")
        found = self.count(page, ".picture .node.match")
        self.assertTrue(0 < found < everything)
        self.assertEqual(self.texts(page, "#graph-status"),
                         [f"{found} node{'' if found == 1 else 's'} found"])
        whole = self.view()
        self.click_on(page, "#graph-next")
        self.assertLess(self.view()[2], whole[2])
        self.assertEqual(self.count(page, ".picture .node.chosen.match"), 1)
        middle = page.evaluate("""(() => { const box = (it) => it.getBoundingClientRect();
            const frame = box(document.querySelector(".picture"));
            const node = box(document.querySelector(".picture .node.chosen"));
            return [node.x + node.width / 2 - frame.x - frame.width / 2,
                    node.y + node.height / 2 - frame.y - frame.height / 2]; })()""")
        for off in middle:
            self.assertAlmostEqual(off, 0, delta=12)
        self.type_into(page, "#graph-search", "no such node")
        self.assertEqual(self.count(page, ".picture .node.match"), 0)
        self.assertEqual(self.texts(page, "#graph-status"), ["0 nodes found"])

    def test_a_node_tells_what_leads_to_it_and_where_it_leads(self):
        page, graph = self.page, self.graph
        node = self.most_called()
        page.evaluate(f"document.querySelector('[data-node=\"{node['id']}\"]')"
                      ".dispatchEvent(new MouseEvent('click', {bubbles: true}))")
        there = sum(edge["to"] == node["id"] for edge in graph["edges"])
        on = sum(edge["from"] == node["id"] for edge in graph["edges"])
        self.assertEqual(self.texts(page, "#graph-node h4"),
                         [f"What leads here ({there})", f"Where it leads ({on})"])
        first = self.texts(page, "#graph-node button")[0]
        self.click_on(page, "#graph-node button")
        self.assertIn(first.split(" ")[0].split("×")[0],
                      self.texts(page, "#graph-node .name")[0])

    def test_the_tables_have_all_and_are_sorted_and_filtered(self):
        page, graph = self.page, self.graph
        self.assertEqual(self.texts(page, '[data-table="nodes"] .count'),
                         [f"{len(graph['nodes'])} rows"])
        calls = [int(cell.replace(",", "")) for cell in self.column(page, "nodes", "Calls")]
        self.assertEqual(calls[0], self.most_called()["count"])
        self.assertEqual(calls, sorted(calls, reverse=True))
        self.click_on(page, '[data-table="nodes"] th[data-key="kind"] button')
        kinds = self.column(page, "nodes", "Kind")
        self.assertEqual(kinds, sorted(kinds))
        self.type_into(page, '[data-table="nodes"] input', "connection")
        wanted = [node for node in graph["nodes"] if "connection" in (
            f"{node['name']}\n{node['kind']}\n{node['library']}\n{node['class']}".lower())]
        self.assertEqual(self.texts(page, '[data-table="nodes"] .count'),
                         [f"{len(wanted)} of {len(graph['nodes'])} rows"])
        self.click_on(page, "#tab-edges")
        self.type_into(page, '[data-table="edges"] input', "takes")
        shown = set(self.column(page, "edges", "Kind"))
        self.assertEqual(shown, {"takes"})

    def test_nothing_is_outside_of_a_wide_or_a_narrow_window(self):
        for width in (1280, 400):
            page = self.open(self.path, width=width)
            for name in ("nodes", "edges"):
                self.click_on(page, f"#tab-{name}")
                self.assert_nothing_outside(page, f"{name} at {width}")
            self.type_into(page, "#graph-search", "a")
            self.click_on(page, "#graph-next")
            self.assert_nothing_outside(page, f"a node at {width}")

    def test_it_is_one_file_of_the_owners(self):
        self.assert_alone(self.path, self.page)
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_operators_are_told_as_they_were_given(self):
        path = self.directory / "grouped.html"
        graph = self.written(path, "--trace", self.kept, "--op", "group class | top 12", "--op",
                             "filter * 'no such thing'")
        page = self.open(path)
        self.assertEqual(self.texts(page, ".operators li"),
                         ["group class", "top 12", "filter * 'no such thing'"])
        self.assertEqual(self.count(page, ".picture .node[data-node]"), len(graph["nodes"]))
        self.assertEqual(self.texts(page, "#remarks li"), graph["notes"])

    def test_two_recordings_are_told_apart(self):
        port = paths.free_port()
        other, path = self.directory / "other", self.directory / "compared.html"
        self.auxin("discover", "--group", "--record", other, "--load", self.load(port, "ping"),
                   *self.bank(port))
        graph = self.written(path, "--trace", self.kept, "--trace", other, "--op", "top 60")
        page = self.open(path)
        firsts = sum(node["side"] == "first" for node in graph["nodes"])
        self.assertEqual(self.count(page, ".picture .node.side-first"), firsts)
        self.assertGreater(firsts, 0)
        self.assertIn("the first only", self.column(page, "nodes", "Occurs in"))
        for width in (1280, 400):
            page.resize(width)
            page.settle()
            self.assert_nothing_outside(page, width)


class SourcesPageTest(page_case.PageCase):
    """The page beside sources: members, places, and what the run did not come by."""

    def test_it_says_what_the_sources_say(self):
        port = paths.free_port()
        path = self.directory / "sources.html"
        (self.directory / "compile_commands.json").write_text(json.dumps([
            {"directory": str(paths.ROOT), "file": f"corba_demo/{name}.cpp", "command":
             f"c++ -std=c++20 -isystem {paths.build_dir()}/corba_demo/stubs -c {name}.cpp"}
            for name in ("account", "teller", "order_queue", "bank_server")]))
        done = self.auxin("discover", "--json", "--html", path, "--unseen", "--sources",
                          self.directory, "--op", "filter derived:bank::* kind:thread", "--load",
                          self.load(port, "deposit"), *self.bank(port))
        graph = json.loads(done.stdout)
        page = self.open(path)
        self.assertIn("4 translation units", self.texts(page, "#about")[0])
        self.assertIn("bank::TellerServant::random_mutex_ (teller.h:",
                      self.texts(page, "#about")[0])
        members = dict(zip(self.column(page, "nodes", "Class"),
                           self.column(page, "nodes", "Source"), strict=True))
        self.assertRegex(members["bank::AccountServant::mutex_"], r"^account\.h:\d+$")
        self.type_into(page, "#graph-search", "AccountServant::withdraw")
        self.click_on(page, "#graph-next")
        self.assertRegex(self.texts(page, "#graph-node .node-card")[0], r"account\.cpp:\d+")
        self.click_on(page, "#tab-unseen")
        self.assertIn("bank::AccountServant::withdraw", self.column(page, "unseen", "Function"))
        self.assertEqual(len(self.column(page, "unseen", "Function")),
                         min(50, len(graph["structure"]["unseen_uses"])))
        for width in (1280, 400):
            page.resize(width)
            page.settle()
            self.assert_nothing_outside(page, width)


class OddGraphPagesTest(page_case.PageCase):
    def test_names_that_look_like_markup_stay_text(self):
        port = paths.free_port()
        path = self.directory / "hostile.html"
        connect = f"for i in 1 2 3; do : < /dev/tcp/127.0.0.1/{port}; done"
        done = self.auxin("discover", "--json", "--html", path, "--load", f"bash -c '{connect}'",
                          "--", paths.program("hostile_names"), port, HOSTILE)
        names = {node["name"] for node in json.loads(done.stdout)["nodes"]}
        self.assertIn(HOSTILE, names, "the name was recorded")
        page = self.open(path)
        self.assertEqual(self.count(page, "img"), 0)
        self.assertEqual(self.count(page, "script"), 2)
        self.assertTrue(page.evaluate("document.title").startswith("auxin discover: "))
        self.type_into(page, "#graph-search", "img src=x")
        self.assertGreater(self.count(page, ".picture .node.match"), 0)
        self.click_on(page, "#graph-next")
        self.assertIn("img src=x", self.texts(page, "#graph-node .name")[0])
        for width in (1280, 400):
            page.resize(width)
            page.settle()
            self.assert_nothing_outside(page, width)
        self.assertEqual(page.requests(), [path.as_uri()])

    def test_without_graphviz_the_tables_remain_and_the_reason_is_told(self):
        port = paths.free_port()
        path, empty = self.directory / "plain.html", self.directory / "empty"
        empty.mkdir()
        kept = self.directory / "kept"
        self.auxin("discover", "--record", kept, "--load", "true", *self.bank(port))
        before = os.environ["PATH"]
        os.environ["PATH"] = str(empty)
        try:
            done = self.auxin("discover", "--trace", kept, "--html", path)
        finally:
            os.environ["PATH"] = before
        self.assertRegex(done.stderr, "apt install graphviz.*; the page is without a picture")
        page = self.open(path)
        self.assertIn("There is no picture: ", self.texts(page, ".missing")[0])
        self.assertEqual(self.count(page, ".picture"), 0)
        rows = int(re.match(r"\d+", self.texts(page, '[data-table="nodes"] .count')[0]).group())
        self.assertGreater(rows, 10)
        self.click_on(page, '[data-table="nodes"] td button')
        self.assertEqual(self.count(page, "#graph-node .node-card"), 1)

    def test_what_cannot_be_written_is_refused_before_the_server_runs(self):
        absent = self.directory / "absent" / "page.html"
        for option in ("--html", "--svg", "--dot", "--write-map"):
            done = self.auxin("discover", option, absent, "--", "/bin/false", status=2)
            self.assertEqual(done.stderr, f"auxin: {absent}: can't be written: "
                                          "No such file or directory\n")
        done = self.auxin("discover", "--html", self.directory / "a", "--write-map",
                          self.directory / "b", "--", "/bin/false", status=2)
        self.assertIn("give one of them", done.stderr)
