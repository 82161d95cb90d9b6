// SPDX-License-Identifier: Apache-2.0
//
// The ELF file is read, never run, except that its own dynamic linker is asked for the list of
// libraries (what ldd does).
#include "replication/supervisor/server_check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <climits>
#include <optional>
#include <string_view>

#include "replication/supervisor/descriptor.h"
#include "replication/supervisor/sentence.h"

namespace auxin::supervisor {
namespace {

constexpr int kMaxScriptDepth = 4;

std::string absolute(const std::string& path) {
  if (path.starts_with('/')) return path;
  char directory[PATH_MAX];
  return getcwd(directory, sizeof(directory)) != nullptr ? fmt::format("{}/{}", directory, path)
                                                         : path;
}

// What a file is, as far as exec and the dynamic linker care.
struct Program {
  enum class Kind { kDynamic, kStatic, kScript, kForeign, kNoProgram } kind = Kind::kNoProgram;
  std::string interpreter;           // of a script or a dynamic program
  std::string interpreter_argument;  // of a script
};

Result<Program> read_elf(int fd, const std::string& path, const Elf64_Ehdr& header) {
  Program program;
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_machine != EM_X86_64) {
    program.kind = Program::Kind::kForeign;
    return program;
  }
  if ((header.e_type != ET_EXEC && header.e_type != ET_DYN) ||
      header.e_phentsize != sizeof(Elf64_Phdr)) {
    return program;
  }
  program.kind = Program::Kind::kStatic;
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    const auto offset = static_cast<off_t>(header.e_phoff + i * sizeof(segment));
    if (pread(fd, &segment, sizeof(segment), offset) != static_cast<ssize_t>(sizeof(segment))) {
      return Error{fmt::format("{}: damaged: its program headers can't be read", path)};
    }
    if (segment.p_type != PT_INTERP) continue;
    char name[PATH_MAX] = {};
    const size_t size = std::min<size_t>(segment.p_filesz, sizeof(name) - 1);
    if (pread(fd, name, size, static_cast<off_t>(segment.p_offset)) < 0) {
      return failed(path, "read", errno);
    }
    program.kind = Program::Kind::kDynamic;
    program.interpreter = name;
  }
  return program;
}

Result<Program> read_program(const std::string& path) {
  Descriptor fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return failed(path, "read", errno);
  char start[512] = {};
  const ssize_t size = pread(fd.get(), start, sizeof(start) - 1, 0);
  if (size < 0) return failed(path, "read", errno);

  if (size >= static_cast<ssize_t>(sizeof(Elf64_Ehdr)) && memcmp(start, ELFMAG, SELFMAG) == 0) {
    Elf64_Ehdr header;
    memcpy(&header, start, sizeof(header));
    return read_elf(fd.get(), path, header);
  }
  Program program;
  if (size < 3 || memcmp(start, "#!", 2) != 0) return program;
  std::string_view line(start + 2);
  line = line.substr(0, line.find('\n'));
  const size_t first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos) return program;
  line.remove_prefix(first);
  const size_t end = line.find_first_of(" \t\r");
  program.kind = Program::Kind::kScript;
  program.interpreter = std::string(line.substr(0, end));
  if (end != std::string_view::npos) {
    const size_t argument = line.find_first_not_of(" \t\r", end);
    if (argument != std::string_view::npos) {
      program.interpreter_argument = std::string(line.substr(argument));
    }
  }
  return program;
}

std::string privilege_fault(const std::string& path, const struct stat& status) {
  const bool set_user = (status.st_mode & S_ISUID) != 0;
  const bool set_group = (status.st_mode & S_ISGID) != 0 && (status.st_mode & S_IXGRP) != 0;
  if (set_user || set_group) {
    return fmt::format("{}: is set{} and so runs without preloaded libraries; use a copy without "
                       "that bit",
                       path, set_user ? "uid" : "gid");
  }
  if (getxattr(path.c_str(), "security.capability", nullptr, 0) > 0) {
    return fmt::format("{}: has file capabilities and so runs without preloaded libraries; use a "
                       "copy without them",
                       path);
  }
  return {};
}

std::string fault_at_depth(const std::string& path, int depth) {
  auto program = read_program(path);
  if (!program) return program.error();
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return failed(path, "examine", errno).message;

  switch (program->kind) {
    case Program::Kind::kDynamic:
      return privilege_fault(path, status);
    case Program::Kind::kStatic:
      return fmt::format("{}: is statically linked, so Auxin's library can't be preloaded into it; "
                         "link it dynamically",
                         path);
    case Program::Kind::kForeign:
      return fmt::format("{}: is a program for another kind of machine; Auxin runs 64-bit x86 "
                         "programs",
                         path);
    case Program::Kind::kNoProgram:
      return fmt::format("{}: is neither an ELF program nor a script that begins with #!; give the "
                         "program to run",
                         path);
    case Program::Kind::kScript: break;
  }
  if (depth == kMaxScriptDepth) {
    return fmt::format("{}: a chain of interpreters without an end; give the program to run", path);
  }
  std::string interpreter = program->interpreter;
  if (access(interpreter.c_str(), X_OK) != 0) {
    return fmt::format("{}: its interpreter {} can't be run: {}; install it or mend the script",
                       path, interpreter, strerrordesc_np(errno));
  }
  if (std::string fault = fault_at_depth(interpreter, depth + 1); !fault.empty()) {
    return fmt::format("{} (interpreter of {})", fault, path);
  }
  // #!/usr/bin/env NAME: the program that counts is NAME.
  if (interpreter.ends_with("/env") &&
      program->interpreter_argument.find_first_of(" \t=-") == std::string::npos &&
      !program->interpreter_argument.empty()) {
    auto found = find_program(program->interpreter_argument);
    if (!found) return fmt::format("{} (interpreter of {})", found.error(), path);
    return fault_at_depth(*found, depth + 1);
  }
  return {};
}

}  // namespace

Result<std::string> find_program(const std::string& name) {
  if (name.empty()) return Error{"the server's name is empty; give the program to run after --"};
  auto check = [](const std::string& path) -> std::optional<std::string> {
    struct stat status;
    if (stat(path.c_str(), &status) != 0) {
      return fmt::format("server not found: {}: {}; check its path", path, strerrordesc_np(errno));
    }
    if (S_ISDIR(status.st_mode)) {
      return fmt::format("{}: is a directory; give the program to run after --", path);
    }
    if (!S_ISREG(status.st_mode) || access(path.c_str(), X_OK) != 0) {
      return fmt::format("{}: is not executable; chmod +x it, or give another program", path);
    }
    return {};
  };
  if (name.find('/') != std::string::npos) {
    if (auto fault = check(name)) return Error{*fault};
    return absolute(name);
  }
  const char* search = getenv("PATH");
  std::string_view rest = search != nullptr ? search : "/usr/local/bin:/usr/bin:/bin";
  std::string near_miss;
  for (;;) {
    const size_t end = rest.find(':');
    const std::string_view directory = rest.substr(0, end);
    const std::string path =
        directory.empty() ? "./" + name : fmt::format("{}/{}", directory, name);
    const auto fault = check(path);
    if (!fault) return absolute(path);
    if (near_miss.empty() && access(path.c_str(), F_OK) == 0) near_miss = *fault;
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  if (!near_miss.empty()) return Error{near_miss};
  return Error{fmt::format("server not found: no {} in PATH; give the program's path (./{} for one "
                           "in this directory)",
                           name, name)};
}

std::string server_fault(const std::string& path) { return fault_at_depth(path, 0); }

std::vector<std::string> libraries_of(const std::string& path) {
  auto program = read_program(path);
  if (!program || program->kind != Program::Kind::kDynamic) return {};

  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  Descriptor reading(ends[0]), writing(ends[1]);
  const pid_t child = fork();
  if (child < 0) return {};
  if (child == 0) {
    dup2(writing.get(), STDOUT_FILENO);
    const int sink = open("/dev/null", O_WRONLY);
    if (sink >= 0) dup2(sink, STDERR_FILENO);
    unsetenv("LD_PRELOAD");
    execl(program->interpreter.c_str(), program->interpreter.c_str(), "--list", path.c_str(),
          static_cast<char*>(nullptr));
    _exit(127);
  }
  writing.reset();
  std::string listing;
  char buffer[4096];
  for (;;) {
    const ssize_t size = read(reading.get(), buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    listing.append(buffer, static_cast<size_t>(size));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }

  std::vector<std::string> libraries;
  std::string_view rest = listing;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    std::string_view name = line.substr(0, line.find(' '));
    name.remove_prefix(name.rfind('/') + 1);  // npos + 1 is 0
    if (!name.empty()) libraries.emplace_back(name);
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return libraries;
}

}  // namespace auxin::supervisor
