// SPDX-License-Identifier: Apache-2.0
//
// A verification's report for a terminal.
#include <fmt/format.h>

#include "cli/shell_words.h"
#include "cli/text_table.h"
#include "cli/verify/verify_report.h"

namespace auxin::cli {
namespace {

constexpr size_t kShownFailures = 3;

std::string plural(uint64_t count, const char* thing) {
  return fmt::format("{} {}{}", grouped(count), thing, count == 1 ? "" : "s");
}

std::string failure_text(const Failure& failure) {
  std::string text = fmt::format("    {} {}", failure.name(), name_of(failure.end));
  if (failure.request != 0) {
    text += fmt::format(", request {} of connection {}", failure.request, failure.connection);
  }
  if (!failure.operation.empty()) text += fmt::format(" ({})", failure.operation);
  text += fmt::format("\n      {}\n", failure.text);
  if (failure.reply_differs) {
    const char* dots = failure.kept_offset > 0 ? "…" : "";
    text += fmt::format("      leader   {}{}\n      replica  {}{}\n", dots, failure.leader_bytes,
                        dots, failure.bytes);
  }
  return text;
}

std::string sufficient_text(const VerifyReport& report) {
  std::string text = fmt::format(
      "  sufficient  {}: {} agreed with their leader, {} replies compared byte for byte\n",
      report.sufficient() ? "yes" : "no",
      fmt::format("{} of {} schedules", grouped(report.agreed), grouped(report.schedules)),
      grouped(report.replies));
  if (!report.explanation.sentence.empty()) {
    text += fmt::format("    {}\n", report.explanation.sentence);
  }
  for (size_t i = 0; i < report.failures.size() && i < kShownFailures; ++i) {
    text += failure_text(report.failures[i]);
  }
  if (report.failures.size() > kShownFailures) {
    text += fmt::format("    and {} more\n", report.failures.size() - kShownFailures);
  }
  if (!report.failures.empty()) {
    const Failure& first = report.failures.front();
    text += fmt::format("    replay: auxin verify --replay {} … -- {}\n", first.name(),
                        report.server);
    if (!report.kept.empty()) {
      text += fmt::format("    on the same log: auxin verify --replay {}\n",
                          shell_word(report.kept));
    }
    if (!report.not_kept.empty()) text += fmt::format("    not kept: {}\n", report.not_kept);
  }
  return text;
}

std::string closed_text(const VerifyReport& report) {
  if (report.closed()) {
    return report.stalls_explained
               ? "  closed      yes: no contention point was acquired under a lock that is not "
                 "ordered and that others need for theirs\n"
               : "  closed      not seen otherwise, but a replica stood still\n";
  }
  std::string text = "  closed      no\n";
  for (const analysis::OpenPair& pair : report.open_pairs) {
    text += fmt::format(
        "    {} acquires an ordered {} while it holds a {} that {} took and that is not ordered "
        "({})\n    others need that one before a contention point of theirs: {}; order it too, "
        "or let it go first\n",
        pair.inner_function, pair.inner_kind, pair.outer_kind, pair.outer_function,
        pair.times == 1 ? "once" : fmt::format("{} times", grouped(pair.times)),
        joined(pair.others));
  }
  return text;
}

std::string minimal_text(const VerifyReport& report) {
  if (!report.minimal_tried) {
    return "  minimal     not tried: the whole selection comes first (or --no-minimal was given)\n";
  }
  uint64_t needed = 0;
  for (const TriedLock& tried : report.locks) needed += tried.need == Need::kNeeded ? 1 : 0;
  std::string text = fmt::format("  minimal     {}: of {} {} {} needed\n",
                                 report.minimal() ? "yes" : "no",
                                 plural(report.locks.size(), "selected lock"), grouped(needed),
                                 needed == 1 ? "is" : "are");
  for (const TriedLock& tried : report.locks) {
    const bool calls = tried.lock.kind == "join points";
    text += fmt::format("    {}{}: ", calls ? "join points " : tried.lock.kind + " taken in ",
                        joined(tried.lock.functions));
    switch (tried.need) {
      case Need::kNeeded:
        text += fmt::format("needed, without it schedule {} {}\n", tried.caught,
                            name_of(tried.caught_by));
        break;
      case Need::kNotNeeded:
        text += fmt::format("not needed in {}\n", plural(tried.schedules, "schedule"));
        break;
      case Need::kNeverShared:
        text += "not needed: it is never shared between two activities\n";
        break;
    }
  }
  return text;
}

std::string sound_text(const VerifyReport& report) {
  switch (report.explanation.cause) {
    case Cause::kDataRace:
      return "  sound       no: a data race shows in replies; no selection of locks can order it\n";
    case Cause::kValue:
      return fmt::format("  sound       no: {} shows in replies, a value that no two processes "
                         "share\n",
                         report.explanation.call.empty() ? "a value of the process's own"
                                                         : report.explanation.call);
    case Cause::kUnknown:
      if (report.sufficient() || !report.closed()) break;
      return "  sound       not seen otherwise, but nothing that was recorded explains what "
             "failed\n";
    default:
      break;
  }
  return "  sound       yes: no data race showed in a reply\n";
}

}  // namespace

std::string both(const std::vector<std::string>& functions) {
  if (functions.empty()) return {};
  if (functions.size() == 1) return functions[0];
  return functions[0] == functions[1] ? fmt::format("{} and itself", functions[0])
                                      : fmt::format("{} and {}", functions[0], functions[1]);
}

const char* name_of(Cause cause) {
  switch (cause) {
    case Cause::kLock: return "lock";
    case Cause::kDataRace: return "data race";
    case Cause::kValue: return "value";
    case Cause::kOpenPair: return "open pair";
    case Cause::kUnknown: break;
  }
  return "unknown";
}

const char* name_of(RehearsalEnd end) {
  switch (end) {
    case RehearsalEnd::kAgreed: return "agreed";
    case RehearsalEnd::kDiverged: return "diverged";
    case RehearsalEnd::kStalled: return "stalled";
    case RehearsalEnd::kCrashed: return "crashed";
  }
  return "";
}

const char* name_of(Need need) {
  switch (need) {
    case Need::kNeeded: return "needed";
    case Need::kNotNeeded: return "not needed";
    case Need::kNeverShared: return "never shared";
  }
  return "";
}

std::string Failure::name() const { return fmt::format("{}:{}", base_seed, seed); }

bool VerifyReport::minimal() const {
  for (const TriedLock& tried : locks) {
    if (tried.need != Need::kNeeded) return false;
  }
  return true;
}

std::string to_text(const VerifyReport& report) {
  std::string text = report.server + "\n";
  text += fmt::format("  {} in {} (seed {}), {} in {:.1f} s: {:.0f} a minute\n",
                      plural(report.requests, "request"), plural(report.base_runs, "base run"),
                      report.seed, plural(report.all_schedules, "schedule"), report.rehearsal_s,
                      report.rehearsal_s > 0 ? static_cast<double>(report.all_schedules) * 60 /
                                                   report.rehearsal_s
                                             : 0.0);
  text += sufficient_text(report) + closed_text(report) + minimal_text(report) +
          sound_text(report);
  // Under what they may explain: a replica that stood still or differed for no lock's sake.
  if (!report.unsupported.empty()) text += to_text(report.unsupported);
  return text;
}

}  // namespace auxin::cli
