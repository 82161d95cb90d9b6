// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/failure.h"

#include <fmt/format.h>
#include <string.h>
#include <sys/wait.h>

#include <algorithm>

#include "replication/activity.h"
#include "replication/log_entry.h"

namespace auxin::cli {
namespace {

using replication::RehearsalReport;

template <size_t kSize>
std::string text_of(const char (&text)[kSize]) {
  return std::string(text, strnlen(text, kSize));
}

std::string hexadecimal(const uint8_t* bytes, uint32_t count) {
  std::string text;
  for (uint32_t i = 0; i < std::min(count, replication::kKeptReplyBytes); ++i) {
    text += fmt::format("{:02x}", bytes[i]);
  }
  return text;
}

std::string who(uint64_t activity) {
  if (activity == replication::kMainActivity) return "the main thread";
  if (!replication::is_request(activity)) return "a thread of the server's";
  return fmt::format("request {} of connection {}", replication::activity_ordinal(activity),
                     replication::activity_connection(activity));
}

const char* what(uint16_t kind) {
  switch (kind) {
    case replication::kAcquire: return "an ordered acquisition";
    case replication::kSend: return "a reply";
    case replication::kValue: return "an agreed value";
    case replication::kReceive: return "bytes that nobody received";
    default: return "an event";
  }
}

std::string sentence_of(const Rehearsed& rehearsed) {
  const RehearsalReport& report = *rehearsed.report;
  if (rehearsed.end == RehearsalEnd::kCrashed) {
    const int status = rehearsed.crash_status;
    return WIFSIGNALED(status)
               ? fmt::format("the replica was ended by signal {} ({})", WTERMSIG(status),
                             strsignal(WTERMSIG(status)))
               : fmt::format("the replica ended with status {}", WEXITSTATUS(status));
  }
  if (report.reply_differs != 0) {
    const auto byte = [&](const uint8_t* bytes, uint32_t kept) {
      const uint32_t at = report.offset - report.kept_offset;
      return at < kept && at < replication::kKeptReplyBytes ? fmt::format("{:02x}", bytes[at])
                                                            : std::string("none");
    };
    return fmt::format("the reply of {} bytes differs from the leader's of {} from byte {} on: {} "
                       "instead of {} (log entry {})",
                       report.own_size_bytes, report.logged_size_bytes, report.offset,
                       byte(report.own_bytes, report.own_kept),
                       byte(report.logged_bytes, report.logged_kept), report.entry);
  }
  if (rehearsed.end != RehearsalEnd::kStalled) return text_of(report.text);
  std::string text = fmt::format("the replica stood still before {} of {} (log entry {})",
                                 what(report.entry_kind), who(report.activity), report.entry);
  const uint32_t count = std::min<uint32_t>(report.in_progress_count, replication::kMaxInProgress);
  for (uint32_t i = 0; i < count; ++i) {
    const replication::InProgress& row = report.in_progress[i];
    text += fmt::format("{} {} ({})", i == 0 ? "; in the application:" : ",", who(row.activity),
                        text_of(row.operation));
  }
  return text;
}

}  // namespace

Failure failure_of(const Rehearsed& rehearsed, const BaseRun& base) {
  const RehearsalReport& report = *rehearsed.report;
  Failure failure;
  failure.base_seed = base.seed;
  failure.seed = rehearsed.seed;
  failure.end = rehearsed.end;
  failure.text = sentence_of(rehearsed);
  failure.activity = report.activity;
  failure.entry = report.entry;
  if (replication::is_request(report.activity)) {
    failure.connection = replication::activity_connection(report.activity);
    failure.request = replication::activity_ordinal(report.activity);
    failure.operation = text_of(report.operation);
    const uint32_t count =
        std::min<uint32_t>(report.in_progress_count, replication::kMaxInProgress);
    for (uint32_t i = 0; i < count && failure.operation.empty(); ++i) {
      const replication::InProgress& row = report.in_progress[i];
      if (row.activity == report.activity) failure.operation = text_of(row.operation);
    }
  }
  if (report.reply_differs != 0) {
    failure.reply_differs = true;
    failure.offset = report.offset;
    failure.size_bytes = report.own_size_bytes;
    failure.leader_size_bytes = report.logged_size_bytes;
    failure.kept_offset = report.kept_offset;
    failure.bytes = hexadecimal(report.own_bytes, report.own_kept);
    failure.leader_bytes = hexadecimal(report.logged_bytes, report.logged_kept);
  }
  return failure;
}

}  // namespace auxin::cli
