"""No include goes against the arrows that add_module(… DEPENDS …) recorded in modules.txt.

    layering.py SOURCE_ROOT MODULES_TXT
"""

import os
import re
import sys

from sources import own_sources

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)
CUDA_HEADERS = re.compile(r"^(cuda|cublas|cudnn|nccl|cub/|thrust/|nvtx|nvml)")


def read_modules(text):
    """{folder: (name, names of the modules that it may include)}"""
    modules = {}
    for line in text.splitlines():
        if line:
            folder, name, depends = line.split(":")
            modules[folder] = (name, set(depends.split()) | {name})
    return modules


def may_be_cuda(path):
    """CUDA's own folders, and the emulated device that the tests run them on."""
    return "/cuda/" in "/" + path or path.startswith("tests/emulated_cuda/")


def folder_of(path, modules):
    """The module folder that holds `path`: the longest one, since models/cpu lies in models."""
    holders = [folder for folder in modules if path.startswith(folder + "/")]
    return max(holders, key=len, default=None)


def violations(files, modules):
    """`files`: {path: text}. Sentences, one for each include that must not be."""
    found = []
    for path, text in sorted(files.items()):
        here = folder_of(path, modules)
        for bracket, included in INCLUDE.findall(text):
            if CUDA_HEADERS.match(included) and not may_be_cuda(path):
                found.append(f"{path} includes {included}: CUDA stands only in */cuda/")
            if bracket == "<" or here is None:
                continue
            target = folder_of(included, modules)
            name, allowed = modules[here]
            if target is None:
                found.append(f'{path} includes "{included}", which names no module: write "folder/file.h"')
            elif modules[target][0] not in allowed:
                found.append(f'{path} includes "{included}": {name} does not depend on {modules[target][0]}')
        if path.endswith((".cu", ".cuh")) and not may_be_cuda(path):
            found.append(f"{path}: CUDA stands only in */cuda/")
    return found


def self_test():
    modules = read_modules("base:base:\nmodels:models:base\nmodels/cpu:models_cpu:base models\n")
    good = {"models/a.cc": '#include "base/x.h"\n#include <vector>\n#include "models/a.h"\n',
            "models/cpu/b.cc": '#include "models/a.h"\n#include "models/cpu/b.h"\n'}
    assert violations(good, modules) == []
    for path, text in (("base/x.cc", '#include "models/a.h"\n'), ("models/a.cc", '#include "models/cpu/b.h"\n'),
                       ("models/a.cc", '#include "a.h"\n'), ("models/a.cc", "#include <cuda_runtime.h>\n"),
                       ("models/a.cu", "")):
        assert len(violations({path: text}, modules)) == 1, path


def main(root, modules_file):
    self_test()
    with open(modules_file, encoding="utf-8") as stream:
        modules = read_modules(stream.read())
    files = {}
    for path in own_sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as stream:
            files[path] = stream.read()
    found = violations(files, modules)
    print("\n".join(found) or f"{len(files)} files of {len(modules)} modules keep to the arrows")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
