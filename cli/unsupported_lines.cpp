// SPDX-License-Identifier: Apache-2.0
#include "cli/unsupported_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "replication/supervisor/group_memory.h"

namespace auxin::cli {
namespace {

using os::Unsupported;
using supervisor::load_text;

struct Words {
  const char *what, *means, *advice;
};

constexpr char kUseMutex[] =
    "guard what requests share with a mutex, or let `auxin verify` show that replies do not depend "
    "on it";

Words words_for(Unsupported use) {
  switch (use) {
    case Unsupported::kFutex:
      return {"waits on futexes by raw system calls (std::atomic::wait too, in a program without "
              "symbols)",
              "who goes first is not ordered, and replicas may differ",
              "use pthread or std mutexes and conditions for what requests share"};
    case Unsupported::kAtomicWait:
      return {"uses std::atomic::wait or what is made of it (latch, barrier, counting_semaphore)",
              "who is woken, and what it then finds, is not ordered, and replicas may differ",
              "use std::mutex and std::condition_variable for what requests share"};
    case Unsupported::kAtomicObject:
      return {"uses atomics that a library carries out",
              "the order of their operations is not followed, and replicas may differ", kUseMutex};
    case Unsupported::kAtomicPointer:
      return {"loads and stores shared pointers atomically",
              "which pointer a request finds is not ordered, and replicas may differ", kUseMutex};
    case Unsupported::kLockFree:
      return {"uses lock-free containers",
              "which thread finds which element is not ordered, and replicas may differ",
              kUseMutex};
    case Unsupported::kTimedFuture:
      return {"waits for futures with a time limit",
              "whether the time was up is not ordered, and replicas may differ where a reply tells",
              "wait without a limit, or on a std::condition_variable with one"};
    case Unsupported::kSignalHandler:
      return {"handles a signal while it serves",
              "when the handler runs is each replica's own: what it changes is not followed",
              "take the signal with sigwait in a thread, which is followed"};
    case Unsupported::kSharedMemory:
      return {"shares memory with other processes",
              "replicas on one host write the same memory, and what others write into it is not "
              "followed",
              "give each replica its own, with {replica} in its name"};
    case Unsupported::kFile:
      return {"opens a file for writing that is not the replica's own",
              "the replicas of a group on one host would all write it",
              "give each its own, with {replica} in the argument that names it"};
    case Unsupported::kProcessShared:
      return {"has locks or semaphores that processes may share",
              "such ones are not ordered, and replicas may wait for one another",
              "use locks of the process's own for what requests share"};
    case Unsupported::kIoUring:
      return {"does input and output through io_uring",
              "what passes there is out of sight: it is neither logged nor replayed",
              "use sockets in the ordinary way for what clients see"};
    case Unsupported::kRawValue:
      return {"reads time or random numbers by raw system calls",
              "each replica reads values of its own, and replicas differ where replies tell",
              "read them through the C library"};
    case Unsupported::kCancellation:
      return {"cancels threads",
              "where a cancelled thread stops is not followed, and replicas may differ",
              "let the thread end itself, by a flag under a mutex"};
    case Unsupported::kTimer:
      return {"uses timers that raise signals or start threads",
              "when they do is each replica's own: what follows from it is not followed",
              "let a thread of the server sleep, or wait with a time limit"};
    case Unsupported::kRobustMutex:
      return {"has robust mutexes", "such ones are not ordered, and replicas may differ",
              "use ordinary mutexes for what requests share"};
    case Unsupported::kMapMissing:
      return {"names a join point that has no effect, or not all of it",
              "what it should tell is not known, and replicas may differ",
              "correct the function or the library in the map (`nm -D --demangle LIBRARY` lists "
              "what there is), or take the join point out of it"};
    case Unsupported::kMapTooWide:
      return {"names a join point that matches too much",
              "what it should tell is not known, and replicas may differ",
              "write the function with its class and its arguments in the map"};
    case Unsupported::kNone: break;
  }
  return {"", "", ""};
}

UnsupportedLine line_of(Unsupported use, std::string module, const std::string& symbol) {
  const Words words = words_for(use);
  return {os::unsupported_name(use), std::move(module), symbol,
          words.what,                words.means,       words.advice};
}

bool listed(const std::vector<UnsupportedLine>& lines, const UnsupportedLine& line) {
  return std::any_of(lines.begin(), lines.end(), [&](const UnsupportedLine& there) {
    return there.use == line.use && there.module == line.module && there.symbol == line.symbol;
  });
}

bool whole(const os::UseRow& row) {
  return row.state.load(std::memory_order_acquire) == 2 && *os::unsupported_name(row.use) != '\0';
}

void add_lines(const os::UseTable& uses, bool with_files, std::vector<UnsupportedLine>* lines) {
  for (const os::UseRow& row : uses.rows) {
    if (!whole(row) || (row.use == Unsupported::kFile && !with_files)) continue;
    UnsupportedLine line = line_of(row.use, load_text(row.module), load_text(row.symbol));
    if (!listed(*lines, line)) lines->push_back(std::move(line));
  }
  const uint32_t lost = uses.lost.load(std::memory_order_relaxed);
  if (lost > 0) {
    lines->push_back({"", "", "", fmt::format("{} more uses found no room in the list", lost), "",
                      ""});
  }
}

}  // namespace

std::string UnsupportedLine::text() const {
  if (use.empty()) return what;
  return fmt::format("{} {} ({}): {}; {}", module.empty() ? "the server" : module, what, symbol,
                     means, advice);
}

std::vector<UnsupportedLine> unsupported_lines(const replication::GroupControl& control) {
  std::vector<UnsupportedLine> lines;
  for (const replication::UnsupportedNote& note : control.unsupported) {
    if (note.used.load(std::memory_order_acquire) != 2) continue;
    lines.push_back({"", "", "", load_text(note.text), "", ""});
  }
  add_lines(control.uses, control.settings.replica_count == 1, &lines);
  return lines;
}

std::vector<UnsupportedLine> unsupported_lines(const os::UseTable& uses) {
  std::vector<UnsupportedLine> lines;
  add_lines(uses, true, &lines);
  return lines;
}

std::vector<UnsupportedLine> unsupported_lines(const analysis::Trace& trace) {
  std::vector<UnsupportedLine> lines;
  for (const analysis::TraceUse& use : trace.uses) {
    UnsupportedLine line = line_of(use.use, use.module, use.symbol);
    if (!listed(lines, line)) lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> files_several_opened(const replication::GroupControl& control) {
  std::vector<std::string> paths;
  for (const os::UseRow& row : control.uses.rows) {
    if (!whole(row) || row.use != Unsupported::kFile) continue;
    if (std::popcount(row.replicas.load(std::memory_order_relaxed)) > 1) {
      paths.push_back(load_text(row.symbol));
    }
  }
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
  return paths;
}

std::string to_text(const std::vector<UnsupportedLine>& lines) {
  std::string text;
  for (const UnsupportedLine& line : lines) {
    text += fmt::format("  unsupported: {}\n", line.text());
  }
  return text;
}

}  // namespace auxin::cli
