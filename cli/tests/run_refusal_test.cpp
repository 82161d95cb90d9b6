// SPDX-License-Identifier: Apache-2.0
//
// Bad input to the command: one clear sentence, exit status 2, nothing left behind.
#include <elf.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "cli/tests/command_run.h"
#include "replication/supervisor/processes.h"

namespace auxin::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::Test;

class RunRefusal : public CommandTest {
 protected:
  std::string state_before_;

  // All names below the state root.
  std::string state_listing() const {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::recursive_directory_iterator(root(), error)) {
      names.push_back(entry.path());
    }
    std::sort(names.begin(), names.end());
    std::string text;
    for (const std::string& name : names) text += name + "\n";
    return text;
  }

  // The words are refused with one sentence that holds all of `parts`.
  void expect_refused(std::vector<std::string> words, const std::vector<std::string>& parts,
                      const Process::Environment& environment = {}) {
    const std::string before = state_listing();
    const Done done = auxin_done(words, environment);
    EXPECT_EQ(done.status, 2) << done.errors;
    EXPECT_TRUE(done.errors.starts_with("auxin: ")) << done.errors;
    EXPECT_EQ(std::count(done.errors.begin(), done.errors.end(), '\n'), 1) << done.errors;
    for (const std::string& part : parts) {
      EXPECT_NE(done.errors.find(part), std::string::npos)
          << "'" << part << "' is not in: " << done.errors;
    }
    EXPECT_EQ(done.output, "");
    EXPECT_EQ(state_listing(), before);
    EXPECT_FALSE(fs::exists(ready_file()));
    for (const std::string& memory : supervisor::memories_in_use()) {
      EXPECT_FALSE(memory.starts_with(root())) << "a process was left";
    }
  }

  std::vector<std::string> run_words(std::vector<std::string> options,
                                     std::vector<std::string> server) {
    std::vector<std::string> words = {"run", "--state-dir", root()};
    words.insert(words.end(), options.begin(), options.end());
    words.push_back("--");
    words.insert(words.end(), server.begin(), server.end());
    return words;
  }

  // A file with this text that may be executed.
  std::string executable(const std::string& name, const std::string& text) {
    write_file(path(name), text);
    chmod(path(name).c_str(), 0700);
    return path(name);
  }
};

TEST_F(RunRefusal, NoServer) {
  expect_refused({"run"}, {"no server given", "-- SERVER"});
  expect_refused({"run", "--"}, {"no server given"});
}

TEST_F(RunRefusal, ServerNotFound) {
  expect_refused(run_words({}, {path("nothing")}), {"not found", path("nothing")});
  expect_refused(run_words({}, {"no-such-program-anywhere"}), {"not found", "PATH"});
}

TEST_F(RunRefusal, ServerNotExecutable) {
  write_file(path("plain"), "text");
  expect_refused(run_words({}, {path("plain")}), {"not executable", "chmod"});
  expect_refused(run_words({}, {path("")}), {"directory"});
}

TEST_F(RunRefusal, StaticallyLinkedServer) {
  expect_refused(run_words({}, {AUXIN_STATIC_PROGRAM}), {"statically linked", "link it dynamic"});
}

TEST_F(RunRefusal, ScriptWithAStaticInterpreter) {
  const std::string script = executable("script", "#!" AUXIN_STATIC_PROGRAM "\n");
  expect_refused(run_words({}, {script}), {"statically linked", "interpreter of", script});
}

TEST_F(RunRefusal, ScriptWithoutItsInterpreter) {
  const std::string script = executable("script", "#!/no/such/interpreter\n");
  expect_refused(run_words({}, {script}), {"/no/such/interpreter"});
}

TEST_F(RunRefusal, ScriptThatIsItsOwnInterpreter) {
  const std::string script = path("script");
  executable("script", "#!" + script + "\n");
  expect_refused(run_words({}, {script}), {"chain of interpreters"});
}

TEST_F(RunRefusal, NoProgramAtAll) {
  expect_refused(run_words({}, {executable("words", "just words\n")}), {"neither an ELF program"});
  expect_refused(run_words({}, {executable("empty", "")}), {"neither an ELF program"});
}

TEST_F(RunRefusal, ProgramOfAnotherMachine) {
  Elf64_Ehdr header{};
  std::copy_n(ELFMAG, SELFMAG, reinterpret_cast<char*>(header.e_ident));
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_EXEC;
  header.e_machine = EM_AARCH64;
  const std::string text(reinterpret_cast<const char*>(&header), sizeof(header));
  expect_refused(run_words({}, {executable("foreign", text)}), {"another kind of machine"});
}

TEST_F(RunRefusal, DamagedProgram) {
  std::string text = read_file(fake_replica_path()).substr(0, 80);
  expect_refused(run_words({}, {executable("cut", text)}), {"damaged"});
}

TEST_F(RunRefusal, SetuidServer) {
  fs::copy_file(fake_replica_path(), path("copy"));
  ASSERT_EQ(chmod(path("copy").c_str(), 04755), 0);
  expect_refused(run_words({}, {path("copy")}), {"setuid", "copy without"});
  ASSERT_EQ(chmod(path("copy").c_str(), 02755), 0);
  expect_refused(run_words({}, {path("copy")}), {"setgid"});
}

TEST_F(RunRefusal, ServerWithFileCapabilities) {
  fs::copy_file(fake_replica_path(), path("copy"));
  vfs_cap_data capabilities{};
  capabilities.magic_etc = VFS_CAP_REVISION_2;
  capabilities.data[0].permitted = 1 << CAP_NET_BIND_SERVICE;
  if (setxattr(path("copy").c_str(), "security.capability", &capabilities, sizeof(capabilities),
               0) != 0) {
    GTEST_SKIP() << "file capabilities can't be set here";
  }
  expect_refused(run_words({}, {path("copy")}), {"file capabilities"});
}

TEST_F(RunRefusal, NumberOfReplicas) {
  for (const char* number : {"0", "9", "-1", "99999999999999999999", "3x", "many"}) {
    expect_refused(run_words({"--replicas", number}, {fake_replica_path()}),
                   {"--replicas must be from 1 to 8, not " + std::string(number) + "\n"});
  }
}

TEST_F(RunRefusal, UnknownStyle) {
  expect_refused(run_words({"--style", "passive"}, {fake_replica_path()}),
                 {"unknown style 'passive'", "semi-active"});
}

TEST_F(RunRefusal, BadName) {
  for (const std::string& name :
       {std::string(""), std::string(".."), std::string("a/b"), std::string(64, 'x')}) {
    expect_refused(run_words({"--name", name}, {fake_replica_path()}), {"can't be a group's name"});
  }
  fs::copy_file(fake_replica_path(), path("odd name"));
  expect_refused(run_words({}, {path("odd name")}), {"odd name", "--name"});
}

TEST_F(RunRefusal, UnknownOptionAndCommand) {
  expect_refused({"run", "--replicsa", "3", "--", "/bin/true"}, {"--replicsa", "--help"});
  expect_refused({"replicate"}, {"--help"});
  expect_refused({}, {"--help"});
  expect_refused({"run", "--fresh", "--resume", "--", fake_replica_path()}, {"--fresh"});
  expect_refused({"status", "--", "x"}, {"only `auxin run`"});
}

TEST_F(RunRefusal, ConfigurationWithAnUnknownKey) {
  write_file(path("bad.toml"), "# first line\nreplicas = 3\nstile = \"none\"\n");
  expect_refused(run_words({"--config", path("bad.toml")}, {fake_replica_path()}),
                 {path("bad.toml") + ":3:", "'stile'", "did you mean 'style'"});
  expect_refused(run_words({"--config", path("absent.toml")}, {fake_replica_path()}),
                 {path("absent.toml")});
}

TEST_F(RunRefusal, LogSizeThatCannotBeHad) {
  write_file(path("big.toml"), "[log]\npayload = \"1TiB\"\n");
  expect_refused(run_words({"--config", path("big.toml")}, {fake_replica_path()}),
                 {"log", "log.payload"});
}

TEST_F(RunRefusal, LibraryNotFound) {
  expect_refused(run_words({}, {fake_replica_path()}), {"AUXIN_LIBRARY"},
                 {{"AUXIN_LIBRARY", path("absent.so")}});
  write_file(path("text.so"), "no library, only a text that is long enough to be read");
  expect_refused(run_words({}, {fake_replica_path()}), {"no shared library"},
                 {{"AUXIN_LIBRARY", path("text.so")}});
  fs::copy_file(AUXIN_EMPTY_LIBRARY, path("two words.so"));
  expect_refused(run_words({}, {fake_replica_path()}), {"LD_PRELOAD"},
                 {{"AUXIN_LIBRARY", path("two words.so")}});
}

TEST_F(RunRefusal, LibraryOfSomethingElse) {
  expect_refused(run_words({}, {fake_replica_path()}), {"is not Auxin's library", "AUXIN_LIBRARY"},
                 {{"AUXIN_LIBRARY", AUXIN_OTHER_LIBRARY}});
}

TEST_F(RunRefusal, MissingOrWrongMap) {
  expect_refused(run_words({}, {fake_replica_path()}), {"join-point maps", "AUXIN_MAPS"},
                 {{"AUXIN_MAPS", path("absent")}});
  mkdir(path("maps").c_str(), 0700);
  expect_refused(run_words({}, {fake_replica_path()}), {"holds no join-point map"},
                 {{"AUXIN_MAPS", path("maps")}});
  write_file(path("maps/wrong.toml"), "schema = 1\nname = \"wrong\"\nnonsense = true\n");
  expect_refused(run_words({}, {fake_replica_path()}), {path("maps/wrong.toml")},
                 {{"AUXIN_MAPS", path("maps")}});
}

TEST_F(RunRefusal, UnknownOrbVersion) {
  expect_refused(run_words({}, {AUXIN_UNKNOWN_ORB_SERVER}),
                 {"libomniORB9.so.1", "no join-point map", "omniorb-4.2", "--style none"});
}

TEST_F(RunRefusal, ReadyFileThatCannotBeMade) {
  expect_refused(run_words({"--ready-file", path("absent/ready")}, {fake_replica_path()}),
                 {"ready file", path("absent/ready")});
  expect_refused(run_words({"--ready-file", root()}, {fake_replica_path()}), {root()});
}

TEST_F(RunRefusal, MetaObjectThatIsNotThere) {
  write_file(path("meta.toml"), "[extension]\nmeta_object = \"/no/such/object.so\"\n");
  expect_refused(run_words({"--config", path("meta.toml")}, {fake_replica_path()}),
                 {"/no/such/object.so", "extension.meta_object"});
}

TEST_F(RunRefusal, StateDirectoryOpenToOthers) {
  mkdir((root() + "/fake").c_str(), 0700);
  chmod((root() + "/fake").c_str(), 0755);
  expect_refused(run_words({"--name", "fake"}, {fake_replica_path()}), {"open to other users"});
  rmdir((root() + "/fake").c_str());
  chmod(root().c_str(), 0777);
  expect_refused(run_words({}, {fake_replica_path()}), {"other users can write"});
}

TEST_F(RunRefusal, StateDirectoryOfAnotherUser) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
  mkdir((root() + "/fake").c_str(), 0700);
  ASSERT_EQ(chown((root() + "/fake").c_str(), 65534, 65534), 0);
  expect_refused(run_words({"--name", "fake"}, {fake_replica_path()}), {"belongs to user 65534"});
}

TEST_F(RunRefusal, StateDirectoryThatIsNoneOrCannotBeMade) {
  write_file(root() + "/fake", "a file");
  expect_refused(run_words({"--name", "fake"}, {fake_replica_path()}), {"is not a directory"});
  expect_refused({"run", "--state-dir", path("absent/state"), "--", fake_replica_path()},
                 {path("absent/state"), "--state-dir"});
  expect_refused({"run", "--state-dir", path("small.toml"), "--", fake_replica_path()},
                 {"is not a directory"});
}

TEST_F(RunRefusal, ForeignMemoryFile) {
  mkdir((root() + "/fake").c_str(), 0700);
  write_file(memory_path(), std::string(100000, 'x'));
  chmod(memory_path().c_str(), 0600);
  expect_refused(run_words({"--name", "fake"}, {fake_replica_path()}),
                 {memory_path(), "not a stable memory", "--fresh"});
}

TEST_F(RunRefusal, SymbolicLinkInTheMemorysPlace) {
  mkdir((root() + "/fake").c_str(), 0700);
  write_file(path("victim"), "precious");
  fs::create_symlink(path("victim"), memory_path());
  expect_refused(run_words({"--name", "fake"}, {fake_replica_path()}),
                 {memory_path() + ": is a symbolic link", "--fresh"});
  expect_refused({"status", "fake", "--state-dir", root()}, {"is a symbolic link"});
  EXPECT_EQ(read_file(path("victim")), "precious");
}

TEST_F(RunRefusal, FullFileSystem) {
  if (mount("none", root().c_str(), "tmpfs", 0, "mode=0700,nr_inodes=2") != 0) {
    GTEST_SKIP() << "a file system of its own can't be mounted here";
  }
  expect_refused(run_words({"--name", "fake"}, {fake_replica_path()}),
                 {root() + "/fake/start.json: cannot write: No space left on device",
                  "free some space", "--state-dir"});
  EXPECT_EQ(umount(root().c_str()), 0);
}

TEST_F(RunRefusal, RemovedWorkingDirectory) {
  fs::create_directory(path("gone"));
  Process run({"/bin/sh", "-c", "cd " + path("gone") + " && rmdir " + path("gone") + " && exec " +
                                    AUXIN_COMMAND + " run --state-dir " + root() + " -- " +
                                    fake_replica_path()},
              path("gone_run"), {{"AUXIN_LIBRARY", AUXIN_EMPTY_LIBRARY},
                                 {"AUXIN_MAPS", AUXIN_TEST_MAPS}});
  EXPECT_EQ(run.wait(), 2);
  EXPECT_EQ(run.errors(), "auxin: the working directory can't be told, perhaps it was removed: No "
                          "such file or directory; change to another one\n");
  EXPECT_EQ(state_listing(), "");
}

TEST_F(RunRefusal, NothingToResume) {
  expect_refused(run_words({"--name", "fake", "--resume"}, {fake_replica_path()}),
                 {"nothing to resume"});
}

TEST_F(RunRefusal, UnknownGroup) {
  expect_refused({"status", "nobody", "--state-dir", root()}, {"no group nobody"});
  expect_refused({"status", "nobody", "--json", "--state-dir", root()}, {"no group nobody"});
  expect_refused({"status", "nobody", "--watch", "--state-dir", root()}, {"no group nobody"});
  expect_refused({"locks", "nobody", "--state-dir", root()}, {"no group nobody"});
  expect_refused({"stop", "nobody", "--state-dir", root()}, {"no group nobody"});
  expect_refused({"stop", "../x", "--state-dir", root()}, {"no group ../x"});
}

TEST_F(RunRefusal, LocksOfAProcessWithoutAuxin) {
  expect_refused({"locks", "--pid", std::to_string(getpid())}, {"without Auxin's library"});
  expect_refused({"locks", "--pid", "999999999"}, {"no process 999999999"});
  expect_refused({"locks", "x", "--pid", "1"}, {"not both"});
}

}  // namespace
}  // namespace auxin::cli
