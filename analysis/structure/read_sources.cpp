// SPDX-License-Identifier: Apache-2.0
#include "analysis/structure/read_sources.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <thread>

#include "analysis/structure/compile_commands.h"
#include "analysis/structure/structure_json.h"

namespace auxin::analysis {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRefusedStatus = 2;  // of the reader
constexpr size_t kMostOutputBytes = size_t{256} << 20;
constexpr size_t kMostMessageBytes = 64 << 10;
constexpr int kTickMs = 200;

// One reader at work. It ends with this object, and with this process.
class Child {
 public:
  static Result<std::unique_ptr<Child>> start(const std::string& reader, const CompiledUnit& unit);
  ~Child() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      wait();
    }
    for (const Stream& stream : streams_) {
      if (stream.fd >= 0) close(stream.fd);
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  const std::string& file() const { return file_; }
  void poll_for(std::vector<pollfd>& all) const {
    for (const Stream& stream : streams_) {
      if (stream.fd >= 0) all.push_back({stream.fd, POLLIN, 0});
    }
  }
  // What has come; true: both streams have ended.
  bool read_some();
  bool too_long(unsigned most_seconds) const {
    return Clock::now() - begin_ > std::chrono::seconds(most_seconds);
  }
  bool too_much() const { return streams_[0].text.size() > kMostOutputBytes; }
  int wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = 0;
    return status;
  }
  std::string& output() { return streams_[0].text; }
  // The reader's own last line.
  std::string message() const {
    std::string text = streams_[1].text;
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.substr(text.rfind('\n') + 1);
  }

 private:
  struct Stream {
    int fd = -1;
    std::string text;
    size_t most = 0;
  };

  explicit Child(std::string file) : file_(std::move(file)) {}

  std::string file_;
  pid_t pid_ = 0;
  Stream streams_[2] = {{-1, "", kMostOutputBytes + 1}, {-1, "", kMostMessageBytes}};
  Clock::time_point begin_ = Clock::now();
};

Result<std::unique_ptr<Child>> Child::start(const std::string& reader, const CompiledUnit& unit) {
  std::unique_ptr<Child> child(new Child(unit.file));
  std::vector<const char*> words = {reader.c_str(), unit.directory.c_str(), unit.file.c_str(),
                                    unit.cpp_driver ? "c++" : "c"};
  for (const std::string& argument : unit.arguments) words.push_back(argument.c_str());
  words.push_back(nullptr);
  int ends[2][2];
  for (int i = 0; i < 2; ++i) {
    if (pipe2(ends[i], O_CLOEXEC) != 0) {
      const int error = errno;
      if (i == 1) close(ends[0][1]);
      return Error{fmt::format("a pipe cannot be made: {}", strerrordesc_np(error))};
    }
    child->streams_[i].fd = ends[i][0];
  }
  const pid_t parent = getpid();
  child->pid_ = fork();
  if (child->pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(kRefusedStatus);
    dup2(ends[0][1], STDOUT_FILENO);
    dup2(ends[1][1], STDERR_FILENO);
    execv(words[0], const_cast<char**>(words.data()));
    dprintf(STDERR_FILENO, "%s: %s; reinstall Auxin\n", words[0], strerrordesc_np(errno));
    _exit(kRefusedStatus);
  }
  const int error = errno;
  close(ends[0][1]);
  close(ends[1][1]);
  if (child->pid_ < 0) {
    return Error{fmt::format("{} cannot be started: {}", reader, strerrordesc_np(error))};
  }
  for (const Stream& stream : child->streams_) fcntl(stream.fd, F_SETFL, O_NONBLOCK);
  return child;
}

bool Child::read_some() {
  bool ended = true;
  for (Stream& stream : streams_) {
    while (stream.fd >= 0) {
      char bytes[64 << 10];
      const ssize_t size = read(stream.fd, bytes, sizeof bytes);
      if (size > 0) {
        const size_t room = stream.most - std::min(stream.most, stream.text.size());
        stream.text.append(bytes, std::min(room, static_cast<size_t>(size)));
        if (room == 0) break;
        continue;
      }
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) break;
      close(stream.fd);
      stream.fd = -1;
    }
    ended = ended && stream.fd < 0;
  }
  return ended;
}

class SourcesReader {
 public:
  explicit SourcesReader(const SourcesPlan& plan) : plan_(plan) {}

  Result<Structure> run() {
    auto commands = read_compile_commands(plan_.database, plan_.under);
    if (!commands) return Error{commands.error()};
    Structure found;
    found.failures = std::move(commands->failures);
    found.remarks = std::move(commands->remarks);
    merger_.add(std::move(found));
    const size_t all = commands->units.size();
    const unsigned jobs =
        plan_.jobs != 0 ? plan_.jobs : std::max(1u, std::thread::hardware_concurrency());
    size_t next = 0, done = 0;
    while (done < all) {
      while (next < all && running_.size() < jobs) {
        auto child = Child::start(plan_.reader, commands->units[next++]);
        if (!child) return Error{child.error()};
        running_.push_back(std::move(*child));
      }
      wait_for_output();
      if (plan_.interrupted && plan_.interrupted()) return Error{"interrupted"};
      const size_t before = done;
      for (auto it = running_.begin(); it != running_.end();) {
        auto finished = finish(**it);
        if (!finished) return Error{finished.error()};
        if (*finished) ++done;
        it = *finished ? running_.erase(it) : std::next(it);
      }
      if (done != before && plan_.progress) plan_.progress(done, all);
    }
    Structure structure = merger_.take();
    if (structure.units == 0) {
      return Error{fmt::format("{}: no unit could be read; {}: {}", commands->path,
                               structure.failures.front().file,
                               structure.failures.front().reason)};
    }
    return structure;
  }

 private:
  void wait_for_output() const {
    std::vector<pollfd> all;
    for (const auto& child : running_) child->poll_for(all);
    poll(all.data(), all.size(), kTickMs);
  }

  // True: it has ended, and what it told is taken.
  Result<bool> finish(Child& child) {
    const bool ended = child.read_some();
    if (child.too_much()) {
      fail(child, fmt::format("its structure has more than {} MiB", kMostOutputBytes >> 20));
      return true;
    }
    if (!ended) {
      if (!child.too_long(plan_.most_seconds_per_unit)) return false;
      fail(child, fmt::format("it was not read within {} s", plan_.most_seconds_per_unit));
      return true;
    }
    const int status = child.wait();
    if (WIFSIGNALED(status)) {
      fail(child, fmt::format("libclang crashed on it ({})", strsignal(WTERMSIG(status))));
      return true;
    }
    // No libclang, no reader: it is the same with every unit.
    if (WEXITSTATUS(status) == kRefusedStatus) return Error{child.message()};
    auto unit = WEXITSTATUS(status) == 0
                    ? parse_structure(child.output())
                    : Error{fmt::format("the reader ended with status {}", WEXITSTATUS(status))};
    if (unit) {
      merger_.add(std::move(*unit));
    } else {
      fail(child, unit.error());
    }
    return true;
  }

  void fail(const Child& child, std::string reason) {
    Structure nothing;
    nothing.failures.push_back({child.file(), std::move(reason)});
    merger_.add(std::move(nothing));
  }

  const SourcesPlan& plan_;
  StructureMerger merger_;
  std::list<std::unique_ptr<Child>> running_;
};

}  // namespace

Result<Structure> read_sources(const SourcesPlan& plan) { return SourcesReader(plan).run(); }

}  // namespace auxin::analysis
