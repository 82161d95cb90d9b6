// SPDX-License-Identifier: Apache-2.0
#include "replication/rehearsal/rehearsal.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>

#include "libmeta_os/guard.h"
#include "libmeta_os/real_calls.h"
#include "replication/activity.h"
#include "replication/divergence.h"
#include "replication/futex.h"
#include "replication/replay.h"
#include "replication/replica.h"
#include "replication/standard_output.h"

namespace auxin::replication {

RehearsalReport* rehearsal_report = nullptr;

namespace {

constexpr uint64_t kLookNs = 500'000;
// So much time at most may one look take from the patience: a process that did not run is not slow.
constexpr uint64_t kLongestLookNs = 5'000'000;

std::atomic<uint32_t> ending{0};
thread_local constinit bool ends_it = false;

// True for the one thread whose findings are reported.
bool claim_ending() {
  if (ends_it) return true;
  ends_it = ending.exchange(1) == 0;
  return ends_it;
}

void note_requests_in_progress() {
  RehearsalReport& report = *rehearsal_report;
  uint32_t count = 0;
  for (ThreadSlot& thread : replica->control().threads[replica->id()]) {
    const uint64_t activity = thread.activity.load(std::memory_order_relaxed);
    if (activity == 0 || !thread.life.seems_held() || count == kMaxInProgress) continue;
    InProgress& row = report.in_progress[count++];
    row.activity = activity;
    memcpy(row.operation, thread.operation, sizeof row.operation - 1);
  }
  report.in_progress_count = count;
}

// What the lowest entry is that has not been consumed.
void note_next_entry() {
  RehearsalReport& report = *rehearsal_report;
  stm::LogEntry entry{};
  report.entry = replay.low();
  replica->log().read(report.entry, &entry);
  report.activity = entry.activity;
  report.step = entry.step;
  report.entry_kind = entry.kind;
  report.entry_form = entry.call;
  report.entry_object = entry.object;
}

void* watch(void*) {
  os::MetaLevel meta;
  raw_syscall(SYS_prctl, PR_SET_NAME, reinterpret_cast<long>("auxin-rehearsal"));
  replica->enter();
  RehearsalReport& report = *rehearsal_report;
  const uint64_t begun_ns = monotonic_ns();
  const uint64_t patience_ns = uint64_t{report.stall_ms} * 1'000'000;
  uint64_t low = replay.low(), waited_ns = 0, looked_ns = begun_ns;
  for (;;) {
    replay.pump();
    replay.notice_unread();
    const uint64_t now_low = replay.low();
    report.position.store(now_low, std::memory_order_relaxed);
    report.replies.store(replica->slot().compared.load(std::memory_order_relaxed),
                         std::memory_order_relaxed);
    const uint64_t now_ns = monotonic_ns();
    report.duration_ns = now_ns - begun_ns;
    if (now_low >= report.end_position) end_rehearsal(Outcome::kAgreed, "");
    waited_ns = now_low != low ? 0 : waited_ns + std::min(now_ns - looked_ns, kLongestLookNs);
    low = now_low;
    looked_ns = now_ns;
    if (waited_ns > patience_ns) end_rehearsal(Outcome::kStalled, "");
    if (raw_syscall(SYS_kill, report.owner_pid, 0) == -ESRCH) raw_syscall(SYS_exit_group, 1);
    sleep_ns(kLookNs);
  }
}

void start_watching() {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, 256 * 1024);
  sigset_t all, before;
  sigfillset(&all);
  os::real().pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  const int error = os::real().pthread_create(&thread, &attributes, watch, nullptr);
  os::real().pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_attr_destroy(&attributes);
  if (error != 0) end_rehearsal(Outcome::kFailed, "its own thread can't be started");
}

}  // namespace

bool prepare_rehearsal(const char* report_path) {
  const long fd = raw_syscall(SYS_openat, AT_FDCWD, reinterpret_cast<long>(report_path),
                              O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  void* memory = mmap(nullptr, kReportSizeBytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                      static_cast<int>(fd), 0);
  const bool long_enough =
      raw_syscall(SYS_lseek, fd, 0, SEEK_END) >= static_cast<long>(kReportSizeBytes);
  raw_syscall(SYS_close, fd);
  if (memory == MAP_FAILED || !long_enough) return false;
  auto* report = static_cast<RehearsalReport*>(memory);
  if (report->magic != kReportMagic) return false;
  rehearsal_report = report;
  return true;
}

void start_rehearsal() {
  // Whose processes these words spoke of is gone.
  GroupControl& control = replica->control();
  control.phase.store(GroupPhase::kRunning);
  control.end_asked_until_ns.store(0);
  control.settings.spin_ns = 0;  // turns pass between threads that sleep
  replay.start(replica->log().begin(), rehearsal_report->end_position);
  rehearsal_report->followed = 1;
  hold_standard_output_back();
  replica->set_mode(Mode::kFollower);
  start_watching();
}

void note_different_reply(uint64_t position, const stm::LogEntry& logged, const char* data,
                          size_t size, size_t offset) {
  if (!claim_ending()) return;
  RehearsalReport& report = *rehearsal_report;
  report.entry = position;
  report.connection = logged.object;
  report.own_size_bytes = static_cast<uint32_t>(size);
  report.logged_size_bytes = logged.payload_size_bytes;
  report.offset = static_cast<uint32_t>(offset);
  // Some of the bytes before the first that differs, and what follows.
  const size_t from = offset > kKeptReplyBytes / 2 ? offset - kKeptReplyBytes / 2 : 0;
  report.kept_offset = static_cast<uint32_t>(from);
  const auto keep = [from](uint8_t* to, const char* bytes, size_t count) {
    const size_t kept = count > from ? std::min<size_t>(count - from, kKeptReplyBytes) : 0;
    memcpy(to, bytes + from, kept);
    return static_cast<uint32_t>(kept);
  };
  report.own_kept = keep(report.own_bytes, data, size);
  report.logged_kept = keep(report.logged_bytes, replica->log().payload_at(logged.payload_offset),
                            logged.payload_size_bytes);
  report.reply_differs = 1;
}

void end_rehearsal(Outcome outcome, const char* text) {
  os::MetaLevel meta;
  if (claim_ending()) {
    RehearsalReport& report = *rehearsal_report;
    report.position.store(replay.low());
    report.replies.store(replica->slot().compared.load());
    note_requests_in_progress();
    if (outcome == Outcome::kStalled) {
      note_next_entry();
    } else if (outcome == Outcome::kDiverged) {
      const Activity* activity = current_activity();
      report.activity = activity->id;
      report.step = activity->step;
      memcpy(report.operation, replica->enter()->operation, sizeof report.operation - 1);
    }
    const size_t length = strnlen(text, sizeof report.text - 1);
    memcpy(report.text, text, length);
    report.text[length] = '\0';
    report.outcome.store(outcome, std::memory_order_release);
    raw_syscall(SYS_kill, replica->pid(), SIGKILL);
  }
  for (;;) raw_syscall(SYS_pause);
}

}  // namespace auxin::replication
