// SPDX-License-Identifier: Apache-2.0
//
// A whole process, saved from inside and restored in a new process of the same binary.
//
//   save_process()  threads stop ─▶ what the kernel keeps is read ─▶ memory is written ─▶ they go
//                   on; in the new process the same call returns a second time, with kRestored
//   auxin-restore   memory is mapped and filled as it was; the main thread goes on in its handler,
//                   starts the saver, and the saver makes the rest again: threads, descriptors,
//                   signal dispositions (all in the restored process's own code and memory)
//
// Source: issue of the papers' problem 1 (state of application, middleware and operating system);
// DESIGN 4.7. Unprivileged. amd64, glibc.
//
// Thread safety: one saver at a time. Not from a signal handler.
#pragma once

#include <cstdint>

#include "checkpoint/process/descriptors.h"
#include "checkpoint/process/image_format.h"
#include "checkpoint/process/parked_thread.h"
#include "checkpoint/tracking/tracking_method.h"

namespace auxin::checkpoint {

enum class SaveOutcome : uint32_t {
  kSaved = 0,
  kRestored = 1,   // this is the new process; every thread is as it was
  kRefused = 2,    // there is something that can't be restored: message
  kFailed = 3,     // an operating error, or its owner's refusal: message; the process runs on
};

// What the owner says when all threads have stopped.
enum class AtStop : uint32_t {
  kGo = 0,
  kAgain = 1,    // a thread stopped where the owner can't have it: they run a moment, then again
  kRefuse = 2,
};

struct SaveOptions {
  const char* path = nullptr;          // of the segment; null: only looks whether there can be one
  // Asked at each stop, before anything is read; sets the log position. May be null. kRefuse:
  // `*reason` is a sentence's end.
  AtStop (*stopped)(uint64_t* log_position, const char** reason) = nullptr;
  uint64_t patience_ns = 2'000'000'000;  // for threads to stop
  bool base = true;                    // false: what changed since the last one, which there is
  // Of the process's first save; then it stays. kAutomatic: kWpAsync where the kernel has it, else
  // kFork. kFork and kFull make bases only. kFault is refused, as is what the kernel has not.
  TrackingMethod method = TrackingMethod::kAutomatic;
  // A robust mutex's futex word, in memory that is shared with others, which this process's thread
  // holds until it ends: a standby that waits for that looks there. May be null.
  const void* owner_word = nullptr;
  bool sync = true;                    // on the disk before save_process returns
};

struct SaveResult {
  SaveOutcome outcome = SaveOutcome::kFailed;
  char message[384] = "";
  uint64_t pause_ns = 0;               // from the first signal until all threads went on
  uint64_t size_bytes = 0;
  uint64_t sequence = 0;               // of the segment in its image; 0: a base
  uint32_t thread_count = 0;
  TrackingMethod method = TrackingMethod::kAutomatic;  // that was taken
};

// Blocks until the image is complete. The process's other threads stand still for pause_ns.
SaveResult save_process(const SaveOptions& options);

// A range that its owner makes again: not touched by the restorer.
void leave_out_of_images(void* begin, uint64_t size_bytes);

// What the owner does in the new process before any thread but the saver goes on; may be null.
struct RestoreHooks {
  bool (*claim_descriptor)(const SavedDescriptor&) = nullptr;  // descriptors.h
  // Asked on the saver, first of all: whether nobody else writes the files that are open here.
  bool (*owns_files)() = nullptr;
  // On each thread, in the new process, before it parks again: the main thread first, with
  // ParkedThread::is_main set. No other thread of the process runs yet, except the saver.
  void (*thread_arrived)(ParkedThread&) = nullptr;
  // On the saver, with all threads parked.
  void (*before_threads_go_on)() = nullptr;
};
void set_restore_hooks(const RestoreHooks& hooks);

// In a restored process: what its restorer was given (auxin-restore --parameter).
uint64_t restore_parameter();

// Whether there is a segment that a delta could follow. On the saver.
bool can_save_delta();

}  // namespace auxin::checkpoint
