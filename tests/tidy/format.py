"""Every source file is as clang-format would write it. Exits with 77, a skip, where clang-format is missing.

    format.py SOURCE_ROOT [--fix]
"""

import shutil
import subprocess
import sys

from sources import own_sources


def main(root, *options):
    if shutil.which("clang-format") is None:
        print("skipped: clang-format is not installed (Debian package clang-format)")
        return 77
    if "--fix" in options:
        return subprocess.run(["clang-format", "-i", *own_sources(root)], cwd=root, check=False).returncode
    check = subprocess.run(["clang-format", "--dry-run", "--Werror", *own_sources(root)], cwd=root,
                           capture_output=True, text=True, check=False)
    wrong = sorted({line.split(":")[0] for line in check.stderr.splitlines() if ": error:" in line})
    for path in wrong:
        print(f"{path}: not as clang-format writes it; run cmake --build BUILD --target format")
    return 1 if check.returncode != 0 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
