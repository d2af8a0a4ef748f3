"""`cmake --install`: the program, and the search as a library that a project of its own finds and links."""

import glob
import os
import shutil
import subprocess
import tempfile
import unittest

from support import REGATTA, main

BUILD = os.environ["REGATTA_BUILD"]
CMAKE = os.environ["REGATTA_CMAKE"]
COMPILER = os.environ["REGATTA_COMPILER"]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{command}\n{done.stdout}\n{done.stderr}")
    return done.stdout


class TheInstalledFiles(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="regatta-test-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.prefix = os.path.join(cls.folder, "prefix")
        run(CMAKE, "--install", BUILD, "--prefix", cls.prefix)

    def find(self, *parts):
        path = os.path.join(self.prefix, *parts)
        self.assertTrue(os.path.exists(path), path)
        return path

    def test_the_program_runs_and_checks_an_installed_example(self):
        program = self.find("bin", "regatta")
        self.assertEqual(run(program, "--version"), run(REGATTA, "--version"))
        self.assertIn("space:", run(program, "validate", self.find("share", "regatta", "configs", "iris.yaml")))
        self.find("share", "doc", "regatta", "experiment.md")

    def test_a_project_outside_the_tree_links_the_search(self):
        source = self.find("share", "doc", "regatta", "examples", "cpp-search")
        copy, build = os.path.join(self.folder, "example"), os.path.join(self.folder, "build")
        shutil.copytree(source, copy)
        run(CMAKE, "-S", copy, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={COMPILER}")
        run(CMAKE, "--build", build)
        output = run(os.path.join(build, "minimize"))
        self.assertRegex(output, r"^200 trials, best 0\.[3-9]\d+ at \{x: ")

    def test_nothing_of_the_build_is_left_in_the_package(self):
        for folder, _, names in os.walk(self.prefix):
            for name in names:
                if name.endswith(".cmake"):
                    with open(os.path.join(folder, name), encoding="utf-8") as stream:
                        self.assertNotIn(BUILD, stream.read(), name)

    @unittest.skipUnless(shutil.which("dpkg") and shutil.which("dpkg-shlibdeps"), "dpkg-dev is not installed")
    def test_the_debian_packages_hold_the_program_and_the_library_apart(self):
        run(os.path.join(os.path.dirname(CMAKE), "cpack"), "--config", os.path.join(BUILD, "CPackConfig.cmake"),
            "-B", os.path.join(self.folder, "packages"))
        for name, files, needs in (("regatta", ["usr/bin/regatta", "usr/share/regatta/configs/iris.yaml"],
                                    ["openmpi-bin", "libopenmpi3", "libzmq5"]),
                                   ("regatta-dev", ["usr/include/regatta/search/ask_tell.h", "libregatta_search.a",
                                                    "regatta-config.cmake"], ["libfmt-dev", "libyaml-cpp-dev"])):
            package = glob.glob(os.path.join(self.folder, "packages", name + "_*.deb"))[0]
            listed, control = run("dpkg", "-c", package), run("dpkg", "-f", package, "Depends")
            for file in files:
                self.assertIn(file + "\n", listed)
            for needed in needs:
                self.assertIn(needed, control)
            self.assertEqual("usr/include" in listed, name == "regatta-dev")


if __name__ == "__main__":
    main()
