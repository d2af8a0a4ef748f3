"""Every example in configs/ is what `regatta validate` accepts."""

import glob
import os
import subprocess
import unittest

from support import REGATTA, main

CONFIGS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "configs")


class EveryExample(unittest.TestCase):
    def test_is_valid(self):
        files = sorted(glob.glob(os.path.join(CONFIGS, "**", "*.yaml"), recursive=True))
        self.assertTrue(files)
        for file in files:
            with self.subTest(os.path.relpath(file, CONFIGS)):
                done = subprocess.run([REGATTA, "validate", file], capture_output=True, text=True, timeout=120,
                                      check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("resources:", done.stdout)


if __name__ == "__main__":
    main()
