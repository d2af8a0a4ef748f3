"""Our own source files, as the tidy tests see them."""

import os
import subprocess

ENDINGS = (".h", ".cc", ".cu", ".cuh")


def own_sources(root):
    """Paths below `root` of C++ files: what git knows and what is new; without git, everything but builds."""
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        paths = listed.stdout.split("\n")
    else:
        paths = walk(root)
    return sorted(p for p in set(paths) if p.endswith(ENDINGS) and os.path.exists(os.path.join(root, p)))


def walk(root):
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(("build", ".", "runs"))]
        for name in files:
            yield os.path.relpath(os.path.join(folder, name), root)
