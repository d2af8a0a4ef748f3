"""Every example in configs/ is what `regatta validate` accepts."""

import glob
import os
import shutil
import subprocess
import tempfile
import unittest

from support import REGATTA, main

# Texts that an example says how to make: by the example, the command and the key that names the text.
TEXTS = {"english-gpt.yaml": (["bible", "gen1:1-rev22:21"], "data.path")}
CONFIGS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "configs")


def prepared(file, folder):
    """What more `validate` must be told: where the example's text is."""
    if os.path.basename(file) not in TEXTS:
        return []
    command, key = TEXTS[os.path.basename(file)]
    if shutil.which(command[0]) is None:
        raise AssertionError(f"{command[0]} is missing: install the Debian packages bible-kjv and bible-kjv-text")
    path = os.path.join(folder, "text")
    with open(path, "wb") as text:
        subprocess.run(command, stdout=text, stdin=subprocess.DEVNULL, timeout=120, check=True)
    return ["--set", f"{key}={path}"]


class EveryExample(unittest.TestCase):
    def test_is_valid(self):
        files = sorted(glob.glob(os.path.join(CONFIGS, "**", "*.yaml"), recursive=True))
        self.assertTrue(files)
        for file in files:
            with self.subTest(os.path.relpath(file, CONFIGS)), tempfile.TemporaryDirectory() as folder:
                command = [REGATTA, "validate", file, *prepared(file, folder)]
                done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("resources:", done.stdout)


if __name__ == "__main__":
    main()
