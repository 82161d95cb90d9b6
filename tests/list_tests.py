# SPDX-License-Identifier: Apache-2.0
"""Lists the test methods of a folder for CTest: one `module.Class.method timeout_s` a line.

Reads the source, imports nothing, so that configuring a build needs no built program. A class may
give its own time limit (`timeout_s = N`); 0 means the folder's default.
"""
import ast
import pathlib
import sys


def class_timeout(node):
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
            if any(getattr(target, "id", "") == "timeout_s" for target in statement.targets):
                return statement.value.value
    return 0


def main():
    folder = pathlib.Path(sys.argv[1])
    names = set()
    for path in sorted(folder.glob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.ClassDef):
                continue
            for member in node.body:
                if isinstance(member, ast.FunctionDef) and member.name.startswith("test_"):
                    short = (path.stem, member.name)
                    if short in names:
                        sys.exit(f"{path}: two tests are called {member.name}")
                    names.add(short)
                    print(f"{path.stem}.{node.name}.{member.name} {class_timeout(node)}")


if __name__ == "__main__":
    main()
