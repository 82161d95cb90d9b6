#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes from libmeta_os/hook_table.def what is not made by the C++ compiler.

  hook_table.py --version-script FILE [--also "NAME;NAME"]   the linker's list of exported names
  hook_table.py --page FILE                                  docs/intercepted-calls.md
  hook_table.py --check-page FILE                            exit 1 if FILE is not current
  hook_table.py --names                                      the exported names, one a line
  hook_table.py --check-library FILE    exit 1 unless the library exports the rows and nothing else
  hook_table.py --check-programs FILE…  exit 1 unless the test programs call every hooked row
"""
import argparse
import pathlib
import re
import subprocess
import sys

TABLE = pathlib.Path(__file__).resolve().parent.parent / "libmeta_os" / "hook_table.def"

FACETS = {
    "synchronisation": "`SynchronisationFacet`",
    "threads": "`ThreadFacet`",
    "socket": "`MetaSocket`",
    "descriptors": "`DescriptorFacet`",
    "values": "`ValueFacet`",
    "process": "`ProcessFacet`",
    "passes": "libc always",
}


def split_arguments(text):
    """Splits macro arguments at commas outside parentheses and strings."""
    parts, depth, quoted, start = [], 0, False, 0
    for i, c in enumerate(text):
        if c == '"':
            quoted = not quoted
        elif not quoted and c in "()":
            depth += 1 if c == "(" else -1
        elif not quoted and depth == 0 and c == ",":
            parts.append(text[start:i].strip())
            start = i + 1
    parts.append(text[start:].strip())
    return [p[1:-1] if p.startswith('"') else p for p in parts]


def rows():
    """Yields dicts: family, name, hooked, facet, note, version, call (the C declaration)."""
    for line in TABLE.read_text().splitlines():
        match = re.fullmatch(r"AUXIN_(CALL|LIST_CALL|LEFT)\((.*)\)", line)
        if not match:
            if line and not line.startswith("//"):
                sys.exit(f"{TABLE.name}: not a row: {line}")
            continue
        kind, fields = match.group(1), split_arguments(match.group(2))
        if kind == "LEFT":
            family, name, note = fields
            yield dict(family=family, name=name, hooked=False, note=note)
            continue
        if kind == "LIST_CALL":
            fields.insert(5, "")
        family, facet, result, name, parameters, version, note = fields
        yield dict(family=family, name=name, hooked=True, facet=facet, version=version, note=note,
                   call=f"{result} {name}{parameters}")


def names():
    return sorted(row["name"] for row in rows() if row["hooked"])


def version_script(also):
    exported = names() + sorted(name for name in also.split(";") if name)
    lines = "".join(f"    {name};\n" for name in exported)
    return "{\n  global:\n" + lines + "  local:\n    *;\n};\n"


def page():
    table = list(rows())
    hooked = [row for row in table if row["hooked"]]
    out = [
        "# Intercepted calls", "",
        "<!-- Made by scripts/hook_table.py from libmeta_os/hook_table.def; do not edit. -->", "",
        f"Auxin puts itself before {len(hooked)} calls of the C library (and one of libstdc++).",
        "A call whose object has no meta-object, and every call of a facet that no style in use",
        "declares, goes straight to libc. The third column says who may take control otherwise.",
        "What is left alone is listed too, with the reason; where that makes something",
        "unsupported, the reason says so.", ""
    ]
    for family in dict.fromkeys(row["family"] for row in table):
        mine = [row for row in table if row["family"] == family]
        out += [f"## {family}", ""]
        taken = [row for row in mine if row["hooked"]]
        if taken:
            out += ["| call | version | handed to | note |", "|---|---|---|---|"]
            out += [f"| `{row['name']}` | {row['version'] or 'newest'} | {FACETS[row['facet']]} "
                    f"| {row['note']} |" for row in taken]
            out.append("")
        left = [row for row in mine if not row["hooked"]]
        if left:
            out += ["| left to libc | why |", "|---|---|"]
            out += [f"| `{row['name']}` | {row['note']} |" for row in left]
            out.append("")
    return "\n".join(out)


def exported_names(library):
    listing = subprocess.run(["nm", "-D", "--defined-only", library], check=True,
                             capture_output=True, text=True).stdout
    return {line.split()[-1].split("@")[0] for line in listing.splitlines()}


def complain(what, wrong):
    """Prints a line if there is anything in `wrong`; returns whether there is."""
    if wrong:
        print(f"{what}: {' '.join(sorted(wrong))}")
    return bool(wrong)


def check_library(library, also):
    expected = set(names()) | {name for name in also.split(";") if name}
    exported = exported_names(library)
    missing = complain("not exported", expected - exported)
    return complain("exported, but no row", exported - expected) or missing


# Called by the C++ library, not by name.
INDIRECT = {"_ZNSt13random_device9_M_getvalEv": "std::random_device"}


def check_programs(paths):
    text = "\n".join(path.read_text() for path in paths)
    called = set(re.findall(r"\b(\w+)\(", text))
    untested = {name for name in names()
                if name not in called and not (name in INDIRECT and INDIRECT[name] in text)}
    return complain("no test program calls", untested)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version-script", type=pathlib.Path)
    parser.add_argument("--also", default="")
    parser.add_argument("--page", type=pathlib.Path)
    parser.add_argument("--check-page", type=pathlib.Path)
    parser.add_argument("--names", action="store_true")
    parser.add_argument("--check-library", type=pathlib.Path)
    parser.add_argument("--check-programs", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.version_script:
        arguments.version_script.write_text(version_script(arguments.also))
    if arguments.page:
        arguments.page.write_text(page())
    if arguments.names:
        print("\n".join(names()))
    if arguments.check_page and arguments.check_page.read_text() != page():
        print(f"{arguments.check_page} is not current: make it again with --page")
        return 1
    if arguments.check_library and check_library(arguments.check_library, arguments.also):
        return 1
    if arguments.check_programs and check_programs(arguments.check_programs):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
