// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/process/process_image.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "checkpoint/process/digest.h"
#include "checkpoint/process/forked_writer.h"
#include "checkpoint/process/image_pages.h"
#include "checkpoint/process/image_tables.h"
#include "checkpoint/process/kernel_state.h"
#include "checkpoint/process/posix_timers.h"
#include "checkpoint/process/proc_files.h"
#include "checkpoint/process/segment_file.h"
#include "checkpoint/process/thread_restart.h"
#include "checkpoint/process/thread_stop.h"
#include "libmeta_os/never_destroyed.h"
#include "libmeta_os/raw_syscall.h"

namespace auxin::checkpoint {
namespace {

using os::raw_syscall;

constexpr int kMostStops = 500;

// Part of the image: what the restored process reads.
struct Kept {
  ParkedThread saver;         // its own record: it does not stop
  KernelState kernel;
  Descriptors descriptors;
  PosixTimers timers;
  RestorerNote restorer;
  const void* owner_word;
  RestoreHooks hooks;
  char path[400];             // of the segment
};
// Set before the preload's C++ globals are made: they must need no making.
constinit Kept kept{};

constinit ImageTables tables{};
constinit SegmentFile file{};
constinit SegmentHeader header{};
constinit ForkedWriter child{};

// The image whose next segment would be a delta.
struct Chain {
  uint64_t image_id = 0, last_digest = 0;
  uint64_t length = 0;   // segments so far; 0: the next one is a base
};
constinit Chain chain{};

uint64_t stopped_ns = 0;   // when the latest stop began
bool bound = false;        // whether the header binds the image already

constexpr int kMostRounds = 4;
constexpr uint64_t kLittleBytes = 256 * 1024;  // copied in the stop in a tenth of a millisecond

// The process may be at its end already.
ImagePages& pages() {
  static os::NeverDestroyed<ImagePages> instance;
  return *instance;
}

uint64_t now_ns(clockid_t clock) {
  timespec now;
  raw_syscall(SYS_clock_gettime, clock, reinterpret_cast<long>(&now));
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

void say(SaveResult* result, SaveOutcome outcome, const char* format, const char* what,
         long number = 0) {
  result->outcome = outcome;
  snprintf(result->message, sizeof result->message, format, what, number);
}

bool stop_once(const SaveOptions& options, SaveResult* result) {
  const StopResult stopped = stop_threads(options.patience_ns);
  stopped_ns = stopped.begun_ns;
  result->thread_count = stopped.thread_count + 1;
  switch (stopped.status) {
    case StopStatus::kStopped:
      return true;
    case StopStatus::kPatience:
      say(result, SaveOutcome::kFailed, "%sthread %ld did not stop in time", "", stopped.tid);
      return false;
    case StopStatus::kTooManyThreads:
      say(result, SaveOutcome::kRefused, "it has %s than %ld threads", "more", kMaxParkedThreads);
      return false;
    default:
      say(result, SaveOutcome::kFailed, "%s can't be read", "/proc/self/task");
      return false;
  }
}

// Stops all threads where their owner can have them.
bool stop(const SaveOptions& options, SaveResult* result) {
  header.log_position = 0;
  for (int tries = 0; stop_once(options, result); ++tries) {
    const char* reason = "";
    AtStop verdict =
        options.stopped == nullptr ? AtStop::kGo : options.stopped(&header.log_position, &reason);
    if (!numbers_are_at_rest() && verdict == AtStop::kGo) verdict = AtStop::kAgain;
    if (verdict == AtStop::kGo) return true;
    resume_threads();
    if (verdict == AtStop::kRefuse) {
      say(result, SaveOutcome::kFailed, "%s", reason);
      return false;
    }
    if (tries == kMostStops) {
      say(result, SaveOutcome::kFailed, "%s", "its threads never stopped where they can be saved");
      return false;
    }
    timespec moment{0, 200'000};
    raw_syscall(SYS_nanosleep, reinterpret_cast<long>(&moment), 0);
  }
  return false;
}

// What stays as it is while the process runs, or is looked at again at the stop: nobody waits.
const char* describe_ahead() {
  ImageProcess& process = header.process;
  process = ImageProcess{};
  if (!read_memory_map(&process)) return "/proc/self/stat or auxv can't be read";
  bound = tables.fill(&process) == nullptr;  // what is wrong may be over at the stop
  if (bound) fill_binding(&header.binding, process.vdso_begin, process.vdso_end);
  memcpy(header.magic, kImageMagic, sizeof header.magic);
  header.version = kImageVersion;
  header.header_size_bytes = sizeof header;
  memset(header.program, 0, sizeof header.program);
  raw_syscall(SYS_readlink, reinterpret_cast<long>("/proc/self/exe"),
              reinterpret_cast<long>(header.program), sizeof header.program - 1);
  snprintf(header.library_version, sizeof header.library_version, "%s", AUXIN_VERSION);
  return nullptr;
}

// With all threads stopped: everything else but the contents of memory.
const char* describe() {
  ImageProcess& process = header.process;
  process.brk = static_cast<uint64_t>(raw_syscall(SYS_brk, 0));
  read_kernel_state(&kept.kernel);
  kept.descriptors.read([](int fd) { return pages().owns(fd) || file.owns(fd); });
  if (const char* problem = tables.fill(&process)) return problem;
  if (!bound) fill_binding(&header.binding, process.vdso_begin, process.vdso_end);
  kept.descriptors.leave_shared_files([](const char* path) { return tables.shares(path); });
  if (const char* problem = kept.descriptors.problem()) return problem;
  if (const char* problem = kept.timers.read(kept.saver)) return problem;
  const ParkedThread* main = find_main_thread(kept.saver);
  if (main == nullptr) return "its main thread has ended before the others";
  process.main_thread_pointer = main->thread_pointer;
  process.main_context = reinterpret_cast<uint64_t>(&main->context);
  process.restorer_word = reinterpret_cast<uint64_t>(&kept.restorer);
  process.owner_word = reinterpret_cast<uint64_t>(kept.owner_word);
  header.image_id = chain.image_id;
  if (chain.length == 0)
    raw_syscall(SYS_getrandom, reinterpret_cast<long>(&header.image_id), sizeof header.image_id,
                0);
  header.sequence = chain.length;
  header.previous_digest = chain.last_digest;
  header.made_realtime_ns = now_ns(CLOCK_REALTIME);
  header.thread_count = parked_thread_count() + 1;
  header.descriptor_count = kept.descriptors.count();
  return nullptr;
}

void write_failed(SaveResult* result, const char* path, long error) {
  if (error == ForkedWriter::kKilled) {
    say(result, SaveOutcome::kFailed, "%s", "the child that held the image was killed");
    return;
  }
  snprintf(result->message, sizeof result->message, "%.300s can't be written: %s", path,
           strerrordesc_np(static_cast<int>(-error)));
  result->outcome = SaveOutcome::kFailed;
}

// Everything but what needs the stop; threads run. False: it failed, and result says why.
bool copy_ahead(const SaveOptions& options, SaveResult* result) {
  long error = file.create(options.path);
  if (error == 0 && pages().tracks()) {
    if (chain.length == 0) error = pages().copy_found(tables, file);
    for (int round = 0; round < kMostRounds && error == 0; ++round) {
      if (const char* problem = tables.fill(&header.process)) {
        say(result, SaveOutcome::kRefused, "%s", problem);
        file.abandon();
        return false;
      }
      uint64_t bytes = 0;
      error = pages().copy_changed(tables, file, &bytes);
      if (bytes < kLittleBytes) break;
    }
  }
  if (error == 0) return true;
  file.abandon();
  write_failed(result, options.path, error);
  return false;
}

// A base begins with a short stop: what pages there are, and from when on changes are told.
bool begin_base(const SaveOptions& options, SaveResult* result) {
  chain = Chain{};
  if (!pages().tracks()) return true;
  if (!stop(options, result)) return false;
  const char* problem = tables.fill(&header.process);
  const long error = problem == nullptr ? pages().begin_base(tables) : 0;
  resume_threads();
  if (problem != nullptr) say(result, SaveOutcome::kRefused, "%s", problem);
  else if (error != 0) say(result, SaveOutcome::kFailed, "%spages can't be found: error %ld", "",
                           -error);
  return problem == nullptr && error == 0;
}

// A child that holds the memory of now writes the segment; it gets its name by finish().
long begin_child() {
  if (const long error = pages().note_for_child(tables, file); error != 0) return error;
  return child.start(
      [](void*) {
        long error = file.read_own_memory();
        if (error == 0) error = pages().copy_in_child(tables, file);
        return error == 0 ? file.seal(header, tables) : error;
      },
      nullptr, file.descriptor());
}

bool owns_files() { return kept.hooks.owns_files != nullptr && kept.hooks.owns_files(); }

[[gnu::noinline]] void save_stopped(const SaveOptions& options, SaveResult* result) {
  if (const char* problem = describe()) {
    say(result, SaveOutcome::kRefused, "%s", problem);
    return;
  }
  const long error = pages().tracks()  ? pages().stage_rest(tables)
                     : pages().forks() ? begin_child()
                                       : pages().copy_all(tables, file);
  if (error != 0) write_failed(result, options.path, error);
  else result->outcome = SaveOutcome::kSaved;
}

// Threads run again: what was staged, the tables, the commit record.
void finish(const SaveOptions& options, SaveResult* result) {
  const bool saved = result->outcome == SaveOutcome::kSaved;
  long error = kept.descriptors.copy_files(saved ? kept.path : nullptr);
  if (saved && error == 0 && pages().tracks()) error = pages().copy_staged(tables, file);
  if (child.runs()) {
    if (error != 0) child.kill_and_wait();
    else error = child.wait();
    if (error == 0) error = file.take_sealed(header.image_id, header.sequence);
  } else if (saved && error == 0) {
    error = file.seal(header, tables);
  }
  if (saved && error == 0) {
    error = file.publish(options.sync);
    result->size_bytes = file.size_bytes();
    result->sequence = header.sequence;
  } else {
    file.abandon();
  }
  if (error != 0) write_failed(result, options.path, error);
  if (result->outcome != SaveOutcome::kSaved) {
    chain = Chain{};  // what was told is in no segment: the next one is a base
    return;
  }
  chain = {header.image_id, file.digest(), chain.length + 1};
}

// Whether there is something that can't be made again; nothing is written.
void only_look(const SaveOptions& options, SaveResult* result) {
  if (!stop(options, result)) return;
  const char* problem = describe();
  resume_threads();
  if (problem != nullptr) say(result, SaveOutcome::kRefused, "%s", problem);
  else result->outcome = SaveOutcome::kSaved;
}

// In the new process, on the saver's thread: all others are still to be made.
void make_the_rest_again() {
  put_kernel_state_back(kept.kernel);
  if (const char* path = kept.descriptors.make_again(kept.hooks.claim_descriptor,
                                                     owns_files() ? kept.path : nullptr)) {
    char text[512];
    const int length = snprintf(text, sizeof text, "auxin: it can't be restored: %.400s is not the "
                                                   "file that it was\n", path);
    raw_syscall(SYS_write, 2, reinterpret_cast<long>(text), length);
    raw_syscall(SYS_exit_group, 2);
  }
  restart_threads(kept.saver);
  if (!kept.timers.make_again()) {
    constexpr char kText[] = "auxin: it can't be restored: the kernel does not make its timers "
                             "again\n";
    raw_syscall(SYS_write, 2, reinterpret_cast<long>(kText), sizeof kText - 1);
    raw_syscall(SYS_exit_group, 2);
  }
  if (kept.hooks.before_threads_go_on != nullptr) kept.hooks.before_threads_go_on();
  resume_threads();
}

}  // namespace

void leave_out_of_images(void* begin, uint64_t size_bytes) {
  const auto address = reinterpret_cast<uint64_t>(begin);
  tables.leave_outside(address, address + size_bytes);
}

void set_restore_hooks(const RestoreHooks& hooks) { kept.hooks = hooks; }

uint64_t restore_parameter() { return kept.restorer.parameter; }

bool can_save_delta() { return chain.length != 0 && pages().tracks(); }

SaveResult save_process(const SaveOptions& options) {
  static SaveResult result;   // not on the stack: valid on both returns
  static uint64_t mask;
  result = SaveResult{};
  if (!tables.prepare() || !file.prepare(&tables) || !kept.descriptors.prepare()) {
    say(&result, SaveOutcome::kFailed, "%s", "no memory for the image's tables");
    return result;
  }
  if (const char* problem = pages().prepare(&tables, options.method)) {
    say(&result, SaveOutcome::kRefused, "%s", problem);
    return result;
  }
  result.method = pages().method();
  const uint64_t all = ~0ull;
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&all),
              reinterpret_cast<long>(&mask), 8);
  tables.forget_runs();
  if (const char* problem = describe_ahead()) {
    say(&result, SaveOutcome::kRefused, "%s", problem);
  } else if (options.path == nullptr) {
    only_look(options, &result);
  } else if (!options.base && !can_save_delta()) {
    say(&result, SaveOutcome::kFailed, "%s", "there is no segment that this one could follow");
  } else if (!options.base || begin_base(options, &result)) {
    if (copy_ahead(options, &result)) {
      if (stop(options, &result)) {
        describe_own_thread(kept.saver);
        snprintf(kept.path, sizeof kept.path, "%s", options.path);
        kept.owner_word = options.owner_word;
        set_restart(&kept.saver, &kept.restorer, kept.hooks.thread_arrived);
        if (auxin_save_context(&kept.saver.context) == 0) {
          save_stopped(options, &result);
          if (owns_files()) kept.descriptors.hold_files();
          resume_threads();
        } else {
          result.outcome = SaveOutcome::kRestored;
          chain = Chain{};
          make_the_rest_again();
        }
        result.pause_ns = now_ns(CLOCK_MONOTONIC) - stopped_ns;
      }
      if (result.outcome != SaveOutcome::kRestored) finish(options, &result);
    }
  }
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&mask), 0, 8);
  return result;
}

}  // namespace auxin::checkpoint
