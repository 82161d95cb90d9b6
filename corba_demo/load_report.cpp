// SPDX-License-Identifier: Apache-2.0
#include "load_report.h"

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>

namespace bank {

namespace {

constexpr size_t kKeptGapCount = 10;
constexpr uint64_t kAfterKill_ns = 200'000'000;
constexpr uint64_t kErrorsAfterKill_ns = 1'000'000'000;

bool was_answered(const CallRecord& record) {
  return record.outcome == Outcome::kAcknowledged || record.outcome == Outcome::kRefused;
}
bool has_failed(const CallRecord& record) {
  return record.outcome == Outcome::kMaybe || record.outcome == Outcome::kNotCompleted ||
         record.outcome == Outcome::kCompleted;
}

void keep_longest(std::vector<Gap>& gaps) {
  const auto longer = [](const Gap& a, const Gap& b) { return a.length_ns > b.length_ns; };
  const size_t kept = std::min(gaps.size(), kKeptGapCount);
  std::partial_sort(gaps.begin(), gaps.begin() + static_cast<std::ptrdiff_t>(kept), gaps.end(),
                    longer);
  gaps.resize(kept);
}

std::vector<Gap> gaps_between(const std::vector<uint64_t>& replies_ns, int thread) {
  std::vector<Gap> gaps;
  for (size_t i = 1; i < replies_ns.size(); ++i) {
    gaps.push_back({replies_ns[i - 1], replies_ns[i] - replies_ns[i - 1], thread});
  }
  return gaps;
}

KillView view_of(uint64_t kill_ns, CallLog& log, const std::vector<uint64_t>& replies_ns) {
  KillView view{};
  view.time_ns = kill_ns;
  const auto first = std::upper_bound(replies_ns.begin(), replies_ns.end(), kill_ns);
  if (first == replies_ns.end()) return view;
  view.covered = true;
  view.first_reply_ns = *first - kill_ns;
  uint64_t previous_ns = first == replies_ns.begin() ? kill_ns : *(first - 1);
  for (auto reply = first; reply != replies_ns.end(); ++reply) {
    if (previous_ns > kill_ns + kAfterKill_ns) break;
    view.gap_ns = std::max(view.gap_ns, *reply - previous_ns);
    previous_ns = *reply;
  }
  for (unsigned thread = 0; thread < log.thread_count(); ++thread) {
    const ThreadLog& t = log.thread(thread);
    const CallRecord* end = t.records + t.call_count.load();
    // Only the last call can be without a reply time: its client ended before it did.
    if (end != t.records && end[-1].outcome == Outcome::kInFlight) --end;
    const CallRecord* call = std::partition_point<const CallRecord*>(
        t.records, end, [&](const CallRecord& r) { return r.reply_ns <= kill_ns; });
    bool is_first = true;
    for (; call != end && call->start_ns <= kill_ns + kErrorsAfterKill_ns; ++call) {
      view.error_count += has_failed(*call);
      if (!was_answered(*call)) continue;
      if (is_first) view.all_replied_ns = std::max(view.all_replied_ns, call->reply_ns - kill_ns);
      is_first = false;
      if (call->start_ns <= kill_ns + kAfterKill_ns) {
        view.slowest_call_ns = std::max(view.slowest_call_ns, call->reply_ns - call->start_ns);
      }
    }
  }
  return view;
}

void print(std::string& to, const char* format, ...) __attribute__((format(printf, 2, 3)));
void print(std::string& to, const char* format, ...) {
  char line[1000];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  to += line;
}

double us(uint64_t ns) { return static_cast<double>(ns) / 1e3; }
double ms(uint64_t ns) { return static_cast<double>(ns) / 1e6; }
double s(uint64_t ns) { return static_cast<double>(ns) / 1e9; }

double rate_of(const LoadReport& report) {
  const uint64_t duration_ns = report.end_ns - report.begin_ns;
  return duration_ns == 0 ? 0 : static_cast<double>(report.acknowledged_count) / s(duration_ns);
}

// Since begin_ns, so that text reads well; JSON has the clock's own values as well.
double since_begin_ms(const LoadReport& report, uint64_t time_ns) {
  return (static_cast<double>(time_ns) - static_cast<double>(report.begin_ns)) / 1e6;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      print(result, "\\u%04x", static_cast<unsigned>(c));
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string json_of(const LatencyHistogram& h) {
  std::string out;
  print(out,
        "{\"count\": %" PRIu64 ", \"mean_us\": %.2f, \"p50_us\": %.2f, \"p90_us\": %.2f, "
        "\"p99_us\": %.2f, \"p99_9_us\": %.2f, \"max_us\": %.2f}",
        h.count(), us(h.mean_ns()), us(h.quantile_ns(0.5)), us(h.quantile_ns(0.9)),
        us(h.quantile_ns(0.99)), us(h.quantile_ns(0.999)), us(h.max_ns()));
  return out;
}

// "[a, b]" of what `json` makes from each item.
template <typename Items, typename Json>
std::string json_list(const Items& items, Json json) {
  std::string out = "[";
  const char* separator = "";
  for (const auto& item : items) {
    out += separator + json(item);
    separator = ",\n    ";
  }
  return out + "]";
}

std::string json_of_gap(const LoadReport& report, const Gap& gap) {
  std::string out;
  print(out,
        "{\"begin_ns\": %" PRIu64 ", \"begin_ms\": %.3f, \"length_us\": %.1f, \"thread\": %d}",
        gap.begin_ns, since_begin_ms(report, gap.begin_ns), us(gap.length_ns), gap.thread);
  return out;
}

std::string json_of_kill(const LoadReport& report, const KillView& kill) {
  std::string out;
  print(out,
        "{\"time_ns\": %" PRIu64 ", \"time_ms\": %.3f, \"covered\": %s, \"first_reply_us\": %.1f, "
        "\"gap_us\": %.1f, \"all_replied_us\": %.1f, \"slowest_call_us\": %.1f, "
        "\"errors\": %" PRIu64 "}",
        kill.time_ns, since_begin_ms(report, kill.time_ns), kill.covered ? "true" : "false",
        us(kill.first_reply_ns), us(kill.gap_ns), us(kill.all_replied_ns),
        us(kill.slowest_call_ns), kill.error_count);
  return out;
}

std::string json_of_connections(const ClientLog::Connections& connections) {
  const unsigned kept = std::min(connections.count, ClientLog::kKeptConnectionCount);
  return json_list(std::vector<const char*>(connections.text, connections.text + kept),
                   [](const char* text) { return quoted(text); });
}

std::string json_of_clients(CallLog& log) {
  std::vector<const ClientLog*> clients;
  for (unsigned i = 0; i < log.client_count(); ++i) clients.push_back(&log.client(i));
  return json_list(clients, [](const ClientLog* client) {
    return "{\"connects\": " + std::to_string(client->connect_count.load()) +
           ", \"before\": " + json_of_connections(client->before) +
           ", \"after\": " + json_of_connections(client->after) +
           ", \"failure\": " + quoted(client->failure) + "}";
  });
}

struct ErrorOf {
  unsigned thread;
  const ErrorRecord* error;
};
std::vector<ErrorOf> errors_of(CallLog& log) {
  std::vector<ErrorOf> errors;
  for (unsigned i = 0; i < log.thread_count(); ++i) {
    const ThreadLog& t = log.thread(i);
    const uint64_t kept = std::min<uint64_t>(t.error_count.load(), ThreadLog::kKeptErrorCount);
    for (uint64_t k = 0; k < kept; ++k) errors.push_back({i, &t.errors[k]});
  }
  std::sort(errors.begin(), errors.end(), [](const ErrorOf& a, const ErrorOf& b) {
    return a.error->time_ns < b.error->time_ns;
  });
  return errors;
}

}  // namespace

void summarise(const LoadOptions&, CallLog& log, const std::vector<uint64_t>& kill_times_ns,
               LoadReport& report) {
  report.begin_ns = log.control().begin_ns.load();
  report.end_ns = report.begin_ns;
  std::vector<uint64_t> all_replies_ns;
  for (unsigned thread = 0; thread < log.thread_count(); ++thread) {
    const ThreadLog& t = log.thread(thread);
    report.call_count += t.call_count.load();
    report.error_count += t.error_count.load();
    report.wrong_answer_count += t.wrong_answer_count;
    report.late_start_count += t.late_start_count;
    report.latency.merge(t.latency);
    report.response.merge(t.response);
    std::vector<uint64_t> replies_ns;
    for (uint64_t i = 0; i < t.call_count.load(); ++i) {
      const CallRecord& record = t.records[i];
      report.end_ns = std::max(report.end_ns, record.reply_ns);
      if (was_answered(record)) replies_ns.push_back(record.reply_ns);
    }
    report.acknowledged_count += replies_ns.size();
    const std::vector<Gap> gaps = gaps_between(replies_ns, static_cast<int>(thread));
    report.thread_gaps.insert(report.thread_gaps.end(), gaps.begin(), gaps.end());
    keep_longest(report.thread_gaps);
    all_replies_ns.insert(all_replies_ns.end(), replies_ns.begin(), replies_ns.end());
  }
  std::sort(all_replies_ns.begin(), all_replies_ns.end());
  report.gaps = gaps_between(all_replies_ns, -1);
  keep_longest(report.gaps);
  for (const uint64_t kill_ns : kill_times_ns) {
    report.kills.push_back(view_of(kill_ns, log, all_replies_ns));
  }
}

std::string text_of(const LoadOptions& options, CallLog& log, const LoadReport& report) {
  std::string out;
  print(out, "mix %s, %u clients x %u threads, %.2f s\n", name_of(options.mix),
        options.client_count, options.threads_per_client, s(report.end_ns - report.begin_ns));
  print(out, "calls %" PRIu64 ", acknowledged %" PRIu64 " (%.1f/s), errors %" PRIu64 "\n",
        report.call_count, report.acknowledged_count, rate_of(report), report.error_count);
  const auto line = [&](const char* name, const LatencyHistogram& h) {
    print(out, "%s us: p50 %.1f  p99 %.1f  p99.9 %.1f  max %.1f  mean %.1f\n", name,
          us(h.quantile_ns(0.5)), us(h.quantile_ns(0.99)), us(h.quantile_ns(0.999)),
          us(h.max_ns()), us(h.mean_ns()));
  };
  line("latency", report.latency);
  if (options.rate_per_s > 0) {
    line("response (from its due time)", report.response);
    print(out, "late starts %" PRIu64 "\n", report.late_start_count);
  }
  for (size_t i = 0; i < report.gaps.size() && i < 3; ++i) {
    print(out, "gap between replies: %.3f ms at %.1f ms\n", ms(report.gaps[i].length_ns),
          since_begin_ms(report, report.gaps[i].begin_ns));
  }
  for (const KillView& kill : report.kills) {
    if (!kill.covered) {
      print(out, "kill at %.1f ms: no reply after it\n", since_begin_ms(report, kill.time_ns));
      continue;
    }
    print(out,
          "kill at %.1f ms: first reply %.3f ms, gap %.3f ms, all clients %.3f ms, slowest call "
          "%.3f ms, errors %" PRIu64 "\n",
          since_begin_ms(report, kill.time_ns), ms(kill.first_reply_ns), ms(kill.gap_ns),
          ms(kill.all_replied_ns), ms(kill.slowest_call_ns), kill.error_count);
  }
  for (unsigned i = 0; i < log.client_count() && i < 8; ++i) {
    const ClientLog& client = log.client(i);
    print(out, "client %u: %u connects, before %s, after %s\n", i, client.connect_count.load(),
          client.before.count > 0 ? client.before.text[0] : "none",
          client.after.count > 0 ? client.after.text[0] : "none");
  }
  const std::vector<ErrorOf> errors = errors_of(log);
  for (size_t i = 0; i < errors.size() && i < 20; ++i) {
    print(out, "error at %.3f ms: thread %u call %u %s: %s\n",
          since_begin_ms(report, errors[i].error->time_ns), errors[i].thread,
          errors[i].error->call_number, name_of(errors[i].error->operation),
          errors[i].error->text);
  }
  for (const std::string& problem : report.problems) print(out, "problem: %s\n", problem.c_str());
  if (!report.verified) {
    print(out, "NOT VERIFIED: %s\n", report.not_verified_because.c_str());
  } else {
    print(out,
          "checked %" PRIu64 " calls against %" PRIu64 " entries: %" PRIu64 " violations, %" PRIu64
          " done without an answer, %" PRIu64 " notes lost\n",
          report.ledger.checked_call_count, report.ledger.entry_count,
          report.ledger.violation_count, report.ledger.applied_unacknowledged,
          report.ledger.lost_note_count);
    for (const std::string& violation : report.ledger.violations) {
      print(out, "violation: %s\n", violation.c_str());
    }
    out += report.ledger.fingerprint.substr(0, report.ledger.fingerprint.find('\n') + 1);
  }
  out += report.good() ? "GOOD\n" : "BAD\n";
  return out;
}

std::string json_of(const LoadOptions& options, CallLog& log, const LoadReport& report) {
  std::string out = "{\n";
  const auto field = [&](const char* name, const std::string& value) {
    out += out.size() > 2 ? ",\n  " : "  ";
    out += quoted(name) + ": " + value;
  };
  const auto number = [&](const char* name, uint64_t value) { field(name, std::to_string(value)); };
  const auto strings = [](const std::vector<std::string>& list) { return json_list(list, quoted); };
  field("good", report.good() ? "true" : "false");
  field("mix", quoted(name_of(options.mix)));
  number("clients", options.client_count);
  number("threads_per_client", options.threads_per_client);
  field("rate_asked_per_s", std::to_string(options.rate_per_s));
  number("seed", options.seed);
  field("prefix", quoted(options.prefix));
  number("begin_ns", report.begin_ns);
  number("end_ns", report.end_ns);
  field("duration_s", std::to_string(s(report.end_ns - report.begin_ns)));
  number("calls", report.call_count);
  number("acknowledged", report.acknowledged_count);
  field("acknowledged_per_s", std::to_string(rate_of(report)));
  number("errors", report.error_count);
  number("wrong_answers", report.wrong_answer_count);
  number("late_starts", report.late_start_count);
  field("latency", json_of(report.latency));
  field("response", json_of(report.response));
  const auto gap = [&](const Gap& g) { return json_of_gap(report, g); };
  field("gaps", json_list(report.gaps, gap));
  field("thread_gaps", json_list(report.thread_gaps, gap));
  field("kills", json_list(report.kills, [&](const KillView& kill) {
    return json_of_kill(report, kill);
  }));
  field("connections", json_of_clients(log));
  field("error_list", json_list(errors_of(log), [&](const ErrorOf& e) {
    return "{\"time_ns\": " + std::to_string(e.error->time_ns) +
           ", \"thread\": " + std::to_string(e.thread) +
           ", \"call\": " + std::to_string(e.error->call_number) +
           ", \"operation\": " + quoted(name_of(e.error->operation)) +
           ", \"text\": " + quoted(e.error->text) + "}";
  }));
  field("problems", strings(report.problems));
  field("verified", report.verified ? "true" : "false");
  field("not_verified_because", quoted(report.not_verified_because));
  number("checked_calls", report.ledger.checked_call_count);
  number("checked_entries", report.ledger.entry_count);
  number("violations", report.ledger.violation_count);
  field("violation_list", strings(report.ledger.violations));
  number("applied_unacknowledged", report.ledger.applied_unacknowledged);
  number("lost_notes", report.ledger.lost_note_count);
  field("fingerprint", quoted(report.ledger.fingerprint));
  return out + "\n}\n";
}

}  // namespace bank
