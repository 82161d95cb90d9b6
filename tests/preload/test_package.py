# SPDX-License-Identifier: Apache-2.0
"""What is installed is complete: a program outside the tree builds against it and works with it."""
import os
import pathlib
import shutil
import subprocess
import unittest

from harness import giop, group, paths, server

HERE = pathlib.Path(__file__).resolve().parent

OUTSIDE = """
cmake_minimum_required(VERSION 3.25)
project(outside LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(Auxin REQUIRED)
add_library(counting MODULE counting_meta_object.cpp)
target_link_libraries(counting PRIVATE Auxin::headers)
"""

OUTSIDE_STM = """
cmake_minimum_required(VERSION 3.25)
project(outside LANGUAGES CXX)
set(CMAKE_CXX_STANDARD 17)
find_package(auxin REQUIRED)
add_executable(segment segment.cpp)
target_link_libraries(segment PRIVATE auxin::stmemu)
"""

OUTSIDE_CHECKPOINT = """
cmake_minimum_required(VERSION 3.25)
project(outside LANGUAGES C CXX)
find_package(auxin REQUIRED)
add_executable(saves main.c c_program.c)
set_target_properties(saves PROPERTIES LINKER_LANGUAGE CXX)
target_link_libraries(saves PRIVATE auxin::checkpoint)
"""
CHECKPOINT_MAIN = """
int checkpoint_c_program(const char* directory);
int main(int count, char** arguments) { return checkpoint_c_program(arguments[count - 1]) != 0; }
"""

# The packaging alone, without anything to build.
PACKAGED = """
cmake_minimum_required(VERSION 3.25)
project(auxin VERSION 0.1.0 LANGUAGES CXX DESCRIPTION "only packaged")
include(GNUInstallDirs)
include(cmake/packaging.cmake)
"""


def run(*command, **options):
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True,
                          timeout=300, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
    return done.stdout


class PackageTest(unittest.TestCase):
    def setUp(self):
        self.directory = paths.scratch_dir()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.prefix = self.directory / "prefix"

    def install(self):
        run("cmake", "--install", paths.build_dir(), "--prefix", self.prefix)

    def build_outside(self):
        outside = self.directory / "outside"
        outside.mkdir()
        (outside / "CMakeLists.txt").write_text(OUTSIDE)
        shutil.copy(HERE / "counting_meta_object.cpp", outside)
        run("cmake", "-S", outside, "-B", outside / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", outside / "build")
        return outside / "build" / "libcounting.so"

    def test_a_users_meta_object_built_outside_the_tree_sees_every_request(self):
        self.install()
        meta_object = self.build_outside()
        config = self.directory / "config.toml"
        config.write_text(f'[extension]\nmeta_object = "{meta_object}"\n')
        counts = self.directory / "counts"
        port = paths.free_port()
        # The installed command, its library and maps: nothing of the build tree.
        installed = {**os.environ, "COUNTING_FILE": str(counts)}
        with group.Group(self, server.probe_command(port), port=port, replicas=2, key=b"probe",
                         options=["--config", str(config)], environment=installed,
                         program=str(self.prefix / "bin" / "auxin")) as replicas:
            with giop.Probe(port) as probe:
                for _ in range(50):
                    probe.add(1)
            leader = replicas.await_leader()["pid"]
            replicas.await_caught_up()
            received, before, after, points, sent = map(
                int, pathlib.Path(f"{counts}.{leader}").read_text().split())
        self.assertGreaterEqual(min(received, before, after, sent), 50)
        self.assertGreaterEqual(points, 50, "each addition takes its lock")
        self.assertEqual(before, after)

    def use_segment(self, program):
        """The installed command makes a memory, the program keeps a segment in it."""
        memory = self.directory / f"{program.parent.name}.stm"
        command = self.prefix / "bin" / "auxin"
        run(command, "stm", "create", memory, "--size", "1M")
        self.assertNotIn("last run", run(program, memory))
        self.assertIn("written by stm_segment", run(program, memory))
        run(command, "stm", "check", memory)

    def test_a_program_outside_the_tree_uses_the_stable_memory(self):
        self.install()
        outside = self.directory / "outside"
        outside.mkdir()
        (outside / "CMakeLists.txt").write_text(OUTSIDE_STM)
        examples = paths.ROOT / "stmemu" / "examples"
        for name in ("segment.cpp", "segment.h"):
            shutil.copy(examples / name, outside)
        run("cmake", "-S", outside, "-B", outside / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", outside / "build")
        self.use_segment(outside / "build" / "segment")

        pc_file, = self.prefix.rglob("auxin-stmemu.pc")
        flags = self.pkg_config(pc_file, "--cflags", "--libs").split()
        run("g++", "-std=c++17", "-o", outside / "by_pkg_config", outside / "segment.cpp", *flags)
        self.use_segment(outside / "by_pkg_config")

    def test_a_program_in_c_outside_the_tree_saves_its_state(self):
        self.install()
        outside = self.directory / "outside"
        outside.mkdir()
        (outside / "CMakeLists.txt").write_text(OUTSIDE_CHECKPOINT)
        (outside / "main.c").write_text(CHECKPOINT_MAIN)
        shutil.copy(paths.ROOT / "checkpoint/interface/tests/c_program.c", outside)
        run("cmake", "-S", outside, "-B", outside / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", outside / "build")
        run(outside / "build" / "saves", self.directory / "first")
        pc_file, = self.prefix.rglob("auxin-checkpoint.pc")
        flags = self.pkg_config(pc_file, "--cflags", "--libs").split()
        run("gcc", "-o", outside / "by_pkg_config", outside / "main.c", outside / "c_program.c",
            *flags)
        run(outside / "by_pkg_config", self.directory / "second")

    def test_the_installed_examples_build_outside_the_tree(self):
        self.install()
        examples, = self.prefix.rglob("examples/checkpoint")
        self.assertEqual(list(examples.rglob("*_test.cpp")), [])
        outside = self.directory / "outside"
        run("cmake", "-S", examples, "-B", outside, f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", outside, "-j2")
        program, = outside.rglob("longest_chain")
        result = self.directory / "result"
        run(program, self.directory / "checkpoints", result, 3000, 1000)
        self.assertIn("2919 has a chain of 217", result.read_text())

    def pkg_config(self, pc_file, *asked):
        return run("pkg-config", *asked, pc_file.stem,
                   env={**os.environ, "PKG_CONFIG_PATH": str(pc_file.parent)})

    def assert_pkg_config_finds_headers_below(self, prefix):
        pc_file, = prefix.rglob("auxin.pc")
        said = pathlib.Path(self.pkg_config(pc_file, "--variable=includedir").strip())
        self.assertEqual(said.resolve(), prefix / "include")
        self.assertTrue((said / "auxin").is_dir(), said)

    def test_the_headers_are_found_by_pkg_config_and_usable_from_cxx17(self):
        self.install()
        found = sorted(self.prefix.rglob("auxin.pc"))
        self.assertEqual(len(found), 1)
        flags = self.pkg_config(found[0], "--cflags").split()
        for header in sorted((self.prefix / "include" / "auxin").iterdir()):
            source = self.directory / "use.cpp"
            source.write_text(f"#include <auxin/{header.name}>\nint main() {{ return 0; }}\n")
            run("g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", *flags, "-o",
                self.directory / "use", source)

    def test_pkg_config_is_right_wherever_it_is_installed(self):
        """With another prefix, below a DESTDIR, and for a library directory two levels deep."""
        self.install()
        self.assert_pkg_config_finds_headers_below(self.prefix)
        staged = self.directory / "staged"
        run("cmake", "--install", paths.build_dir(), "--prefix", "/opt/auxin",
            env={**os.environ, "DESTDIR": str(staged)})
        self.assert_pkg_config_finds_headers_below(staged / "opt/auxin")

    def test_pkg_config_is_right_for_a_library_directory_of_the_architecture(self):
        project = self.directory / "project"
        project.mkdir()
        (project / "CMakeLists.txt").write_text(PACKAGED)
        for directory in ("docs", "maps", "include/auxin"):
            (project / directory).mkdir(parents=True)
        for name in ("cmake", "LICENSE"):
            (project / name).symlink_to(paths.ROOT / name)
        run("cmake", "-S", project, "-B", project / "build",
            "-DCMAKE_INSTALL_LIBDIR=lib/x86_64-linux-gnu")
        run("cmake", "--install", project / "build", "--prefix", self.prefix)
        self.assertTrue((self.prefix / "lib/x86_64-linux-gnu/pkgconfig/auxin.pc").exists())
        self.assert_pkg_config_finds_headers_below(self.prefix)

    def test_everything_a_user_needs_is_installed(self):
        self.install()
        names = {path.name for path in self.prefix.rglob("*")}
        self.assertLessEqual({"libauxin.so", "auxin", "omniorb-4.2.toml", "auxin.pc", "auxin.1",
                              "AuxinConfig.cmake", "meta_request_lifecycle.h"}, names)

    def test_the_debian_package_has_its_dependencies(self):
        run("cpack", "-G", "DEB", "-B", self.directory, "--config",
            paths.build_dir() / "CPackConfig.cmake")
        package, = self.directory.glob("*.deb")
        fields = run("dpkg-deb", "--field", package)
        self.assertIn("Package: auxin", fields)
        self.assertRegex(fields, r"Depends: .*libc6")
        listed = run("dpkg-deb", "--contents", package)
        # Who reads no sources needs no libclang.
        self.assertNotRegex(fields, r"\nDepends: .*libclang")
        self.assertRegex(fields, r"\nRecommends: .*libclang1-14")
        for name in ("/usr/bin/auxin", "libauxin.so", "/usr/share/auxin/maps/omniorb-4.2.toml",
                     "/usr/libexec/auxin/auxin-structure"):
            self.assertIn(name, listed)
        unpacked = self.directory / "unpacked"
        run("dpkg-deb", "--extract", package, unpacked)
        self.assert_pkg_config_finds_headers_below(unpacked / "usr")


if __name__ == "__main__":
    unittest.main()
