"""What docs/deployment.md and containers/ name is there: messages, files, presets, targets, packages."""

import json
import os
import re
import shutil
import subprocess
import sys

ROOT = sys.argv[1]
RECIPES = ("containers/Dockerfile", "containers/regatta.def")
mistakes = []


def check(condition, sentence):
    if not condition:
        mistakes.append(sentence)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as stream:
        return stream.read()


def exists(path):
    return os.path.exists(os.path.join(ROOT, path))


def texts_of_program():
    """All C++ sources of the program, with strings joined that stand on several lines."""
    texts = []
    for folder in ("base", "cli", "cluster", "collectives", "coordinator", "data", "devices", "experiment", "models",
                   "protocol", "search", "worker"):
        for path, _, names in os.walk(os.path.join(ROOT, folder)):
            for name in names:
                if name.endswith((".cc", ".h")):
                    with open(os.path.join(path, name), encoding="utf-8") as stream:
                        texts.append(re.sub(r'"\s*\n\s*"', "", stream.read()))
    return texts


def check_messages():
    """The first column of the table of troubles: `text … text`, with … for what differs."""
    texts = texts_of_program()
    table = re.search(r"\| what is printed \|.*?\n\n", read("docs/deployment.md") + "\n\n", re.DOTALL)
    check(table, "docs/deployment.md: there is no table `what is printed`")
    messages = re.findall(r"^\| `([^`]+)`", table.group(0), re.MULTILINE) if table else []
    check(len(messages) > 10, "docs/deployment.md: the table `what is printed` has lost its messages")
    for message in messages:
        for part in (part.strip() for part in message.split("…")):
            check(not part or any(part in text for text in texts),
                  f"docs/deployment.md: the program does not print '{part}'")


def check_recipe(path):
    text = read(path).replace("\\\n", " ")
    presets = {preset["name"] for preset in json.loads(read("CMakePresets.json"))["configurePresets"]}
    for preset in re.findall(r"--preset (\S+)", text):
        check(preset in presets, f"{path}: there is no preset {preset}")
        check(f"build/{preset}" in text, f"{path}: preset {preset} builds in build/{preset}")
    for target in re.findall(r"--target (\S+)", text):
        check(re.search(rf"add_executable\({target}\b", read("cli/CMakeLists.txt")), f"{path}: no target {target}")
    for option in re.findall(r"-D(REGATTA_\w+)=", text):
        check(any(re.search(rf"option\({option}\b", read(file)) for file in
                  ("CMakeLists.txt", "cmake/cuda.cmake", "cmake/warnings.cmake")), f"{path}: no option {option}")
    for section in re.findall(r"sed -n '/\^\\\[(\w+)\\\]/", text):
        check(f"[{section}]\n" in read("packages.txt"), f"{path}: packages.txt has no section {section}")
    for source in re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE):
        check(exists(source), f"{path}: there is no {source}")
    check("packages.txt" in text, f"{path}: the packages of the build are those of packages.txt")
    return re.findall(r"install -y --no-install-recommends ((?:[a-z][\w.+-]*(?= |\n|$) ?)*)", text)


def packages():
    names = [line for line in read("packages.txt").split("\n") if re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", line)]
    for path in RECIPES:
        for words in check_recipe(path):
            names += words.split()
        names += re.findall(r"\.deb ([a-z]\S+)", read(path))
    return sorted(set(names))


def check_packages(names):
    """Where this is a Debian system that has lists of packages."""
    if not shutil.which("apt-cache"):
        return
    shown = subprocess.run(["apt-cache", "show", "--no-all-versions", *names], capture_output=True, text=True,
                           check=False).stdout
    found = set(re.findall(r"^Package: (\S+)$", shown, re.MULTILINE))
    if "openmpi-bin" not in found:
        return
    for name in names:
        check(name in found, f"Debian has no package {name}")


def check_releases():
    """Both recipes build and run on the same release."""
    releases = {match for path in RECIPES for match in re.findall(r"debian:(\w+)", read(path))}
    check(len(releases) == 1, f"containers/: recipes name several releases: {sorted(releases)}")


def check_links():
    for path in re.findall(r"\]\(([^)#:]+)\)", read("docs/deployment.md")):
        check(exists(os.path.join("docs", path)), f"docs/deployment.md: there is no {path}")


check_messages()
check_releases()
check_links()
check_packages(packages())
print("\n".join(mistakes))
sys.exit(1 if mistakes else 0)
