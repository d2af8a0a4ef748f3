"""The part of the style that a program can check.

    style.py SOURCE_ROOT
"""

import os
import re
import sys

from sources import own_sources

LONGEST_LINE = 110
# What only one folder may do, and why. Tests may do it too.
RESERVED = [
    (re.compile(r"std::c(out|err)\b"), ("cli/",), "standard streams belong to cli"),
    (re.compile(r"\bsleep_(for|until)\b|\bu?sleep\("), ("base/", "collectives/"),
     "waiting stands behind base (collectives pause between looks at MPI)"),
    (re.compile(r"(steady|system|high_resolution)_clock::now"), ("base/",), "time is read in base/clock only"),
    (re.compile(r"\bs?rand\(|std::random_device|std::mt19937"), (), "random numbers come from base/random.h"),
    (re.compile(r"\bstd::thread\b(?!::)"), (), "threads are std::jthread"),
]


def without_comments_and_texts(line):
    line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
    return line.split("//")[0]


def complaints(path, text):
    lines = text.split("\n")
    if path.endswith((".h", ".cuh")) and "#pragma once" not in lines:
        yield f"{path}: a header starts with #pragma once"
    if not lines[0].startswith("//") and not path.startswith("tests/"):
        yield f"{path}:1: a file begins with a comment: what it is and why"
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST_LINE:
            yield f"{path}:{number}: {len(line)} characters, more than {LONGEST_LINE}"
        if path.startswith("tests/"):
            continue
        code = without_comments_and_texts(line)
        for pattern, folders, why in RESERVED:
            if pattern.search(code) and not path.startswith(folders):
                yield f"{path}:{number}: {why}"


def self_test():
    assert list(complaints("base/a.h", "// A.\n#pragma once\n")) == []
    assert list(complaints("cli/a.cc", '// A.\nstd::cout << "a";\n')) == []
    for path, text in (("data/a.h", "// A.\n"), ("data/a.cc", "int a;\n"), ("data/a.cc", "// A.\n" + "x" * 111),
                       ("data/a.cc", "// A.\nstd::cout << 1;"), ("data/a.cc", "// A.\nsteady_clock::now();")):
        assert len(list(complaints(path, text))) == 1, text


def main(root):
    self_test()
    found = []
    for path in own_sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as stream:
            found += complaints(path, stream.read())
    print("\n".join(found) or "no complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
