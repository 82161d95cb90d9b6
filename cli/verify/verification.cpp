// SPDX-License-Identifier: Apache-2.0
#include "cli/verify/verification.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "analysis/trace/reader.h"
#include "cli/runs/work_directory.h"
#include "cli/shell_words.h"
#include "cli/verify/base_run.h"
#include "cli/verify/explanation.h"
#include "cli/verify/failure.h"
#include "cli/verify/kept_failure.h"
#include "cli/verify/rehearsals.h"

namespace auxin::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kExplainedFailures = 8;  // what so many have in common is the explanation
constexpr uint64_t kComparedAgreements = 3; // what changed places in them is hardly the cause
constexpr uint64_t kMostStalls = 2;         // each takes its time, and says no more than the first
constexpr uint64_t kReplays = 10;           // of one schedule, on each of so many …
constexpr uint64_t kReplayedBases = 4;      // … base runs

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

class Verification {
 public:
  Verification(const VerifyPlan& plan, const std::string& directory, Rehearsals rehearsals)
      : plan_(plan), directory_(directory), rehearsals_(std::move(rehearsals)) {
    report_.server = shell_words(plan.server);
    report_.seed = plan.seed;
  }

  Result<VerifyReport> run() {
    const auto begin = Clock::now();
    if (auto done = plan_.only_seed ? try_one_schedule() : try_selection(); !done) {
      return Error{done.error()};
    }
    report_.stalls_explained = report_.stalled == 0 || !report_.closed();
    if (plan_.minimal && !plan_.only_seed && report_.sufficient() && report_.sound()) {
      if (auto done = try_without_each(); !done) return Error{done.error()};
    }
    report_.seconds = seconds_since(begin);
    return std::move(report_);
  }

  Result<VerifyReport> run_kept(const KeptFailure& kept) {
    const auto begin = Clock::now();
    auto base = read_base(kept.base.trace_path);
    if (!base) return Error{base.error()};
    report_.base_runs = 1;
    report_.requests = kept.base.requests;
    report_.open_pairs = analysis::find_open_pairs(base->trace, base->behaviour);
    report_.unsupported = unsupported_lines(base->trace);
    Explainer explainer;
    for (uint64_t turn = 0; turn < kReplays * kReplayedBases && report_.failures.empty(); ++turn) {
      auto done = rehearse(kept.base, kept.seed, 1, *base, &explainer);
      if (!done) return Error{done.error()};
    }
    report_.explanation = explainer.count() > 0 ? explainer.explain() : Explanation{};
    report_.stalls_explained = report_.stalled == 0 || !report_.closed();
    report_.seconds = seconds_since(begin);
    return std::move(report_);
  }

 private:
  void tell(const std::string& sentence) const {
    if (plan_.progress) plan_.progress(sentence);
  }

  Result<BaseRun> make_base(uint64_t seed, const std::string& leave_out) {
    if (auto back = rehearsals_.prepare_base_run(); !back) return Error{back.error()};
    BasePlan plan;
    plan.server = plan_.server;
    plan.loads = plan_.loads;
    plan.state_load = plan_.state_load;
    plan.configuration = plan_.configuration;
    plan.ready_timeout_s = plan_.ready_timeout_s;
    plan.mute = plan_.mute;
    plan.directory = directory_;
    return make_base_run(plan, seed, leave_out);
  }

  // Base runs with the whole selection, until all schedules were tried or enough has failed.
  Result<bool> try_selection() {
    Explainer explainer;
    for (uint64_t done = 0; done < plan_.schedules && !enough();) {
      const uint64_t count = std::min(plan_.schedules - done, plan_.schedules_per_base);
      if (auto tried = try_base(plan_.seed + report_.base_runs, plan_.seed + done, count,
                                &explainer);
          !tried) {
        return tried;
      }
      done += count;
    }
    if (explainer.count() > 0) report_.explanation = explainer.explain();
    return true;
  }

  // One schedule again: on base runs that began alike, as often as it takes.
  Result<bool> try_one_schedule() {
    Explainer explainer;
    for (uint64_t base = 0; base < kReplayedBases && report_.failures.empty(); ++base) {
      auto run = begin_base(*plan_.only_base);
      if (!run) return Error{run.error()};
      for (uint64_t turn = 0; turn < kReplays && report_.failures.empty(); ++turn) {
        auto tried = rehearse(run->first, *plan_.only_seed, 1, run->second, &explainer);
        if (!tried) return tried;
      }
    }
    if (explainer.count() > 0) report_.explanation = explainer.explain();
    return true;
  }

  Result<std::pair<BaseRun, BaseBehaviour>> begin_base(uint64_t seed) {
    auto base = make_base(seed, "");
    if (!base) return Error{base.error()};
    auto behaviour = read_base(base->trace_path);
    if (!behaviour) return Error{behaviour.error()};
    ++report_.base_runs;
    report_.requests += base->requests;
    tell(fmt::format("base run {}: {} requests in {:.1f} s", report_.base_runs, base->requests,
                     base->load_s));
    merge_open_pairs(analysis::find_open_pairs(behaviour->trace, behaviour->behaviour));
    report_.unsupported = unsupported_lines(behaviour->trace);
    if (selected_.empty()) {
      selected_ = analysis::find_selected_locks(behaviour->trace, behaviour->behaviour);
    }
    return std::pair(std::move(*base), std::move(*behaviour));
  }

  Result<bool> try_base(uint64_t base_seed, uint64_t first, uint64_t count, Explainer* explainer) {
    auto run = begin_base(base_seed);
    if (!run) return Error{run.error()};
    return rehearse(run->first, first, count, run->second, explainer);
  }

  bool enough() const {
    return report_.diverged + report_.crashed >= kExplainedFailures ||
           report_.stalled >= kMostStalls;
  }

  Result<bool> rehearse(const BaseRun& base, uint64_t first, uint64_t count,
                        const BaseBehaviour& behaviour, Explainer* explainer) {
    const auto begin = Clock::now();
    auto done = rehearsals_.run(base, first, count, [&](const Rehearsed& one) {
      ++report_.schedules;
      ++report_.all_schedules;
      report_.replies += one.replies;
      count_end(one.end);
      if (one.end != RehearsalEnd::kAgreed) {
        note_failure(one, base, behaviour, explainer);
      } else if (!one.trace_path.empty()) {
        auto trace = analysis::read_trace(one.trace_path);
        if (trace) explainer->add_agreed(find_harmless(*trace, behaviour));
      }
      rehearsals_.keep_all_traces(explainer->count() > 0 &&
                                  explainer->agreed_count() < kComparedAgreements);
      if (report_.schedules % 25 == 0) {
        tell(fmt::format("{} of {} schedules, {} agreed", report_.schedules, plan_.schedules,
                         report_.agreed));
      }
      return !enough();
    });
    rehearsals_.keep_all_traces(false);
    report_.rehearsal_s += seconds_since(begin);
    return done;
  }

  void count_end(RehearsalEnd end) {
    switch (end) {
      case RehearsalEnd::kAgreed: ++report_.agreed; break;
      case RehearsalEnd::kDiverged: ++report_.diverged; break;
      case RehearsalEnd::kStalled: ++report_.stalled; break;
      case RehearsalEnd::kCrashed: ++report_.crashed; break;
    }
  }

  void note_failure(const Rehearsed& one, const BaseRun& base, const BaseBehaviour& behaviour,
                    Explainer* explainer) {
    const Failure failure = failure_of(one, base);
    if (report_.failures.empty() && !plan_.keep.empty()) {
      auto kept = keep_failure(plan_.keep, plan_.server, base, failure, one.trace_path);
      report_.kept = kept ? plan_.keep : std::string();
      report_.not_kept = kept ? std::string() : kept.error();
    }
    if (one.end == RehearsalEnd::kStalled) look_for_open_pairs(one.trace_path, behaviour);
    if (one.end == RehearsalEnd::kDiverged || one.end == RehearsalEnd::kCrashed) {
      auto trace = analysis::read_trace(one.trace_path);
      if (trace) {
        explainer->add(find_evidence(failure, *trace, behaviour));
      } else {
        explainer->add_unknown();
      }
    }
    report_.failures.push_back(failure);
  }

  // In the rehearsal that stood still: its order may be the only one that shows them.
  void look_for_open_pairs(const std::string& trace_path, const BaseBehaviour& base) {
    if (trace_path.empty()) return;
    const auto trace = analysis::read_trace(trace_path);
    if (!trace) return;
    merge_open_pairs(analysis::find_open_pairs(
        trace.value(), analysis::find_behaviour(trace.value(), base.is_middleware)));
  }

  void merge_open_pairs(const std::vector<analysis::OpenPair>& found) {
    for (const analysis::OpenPair& pair : found) {
      const auto same = std::find_if(
          report_.open_pairs.begin(), report_.open_pairs.end(), [&](const auto& each) {
            return each.outer_function == pair.outer_function &&
                   each.inner_function == pair.inner_function;
          });
      if (same == report_.open_pairs.end()) {
        report_.open_pairs.push_back(pair);
      } else {
        same->times += pair.times;
      }
    }
  }

  // --- minimality ---

  Result<bool> try_without_each() {
    report_.minimal_tried = true;
    for (const analysis::SelectedLock& lock : selected_) {
      TriedLock tried;
      tried.lock = lock;
      if (lock.activities < 2) {
        tried.need = Need::kNeverShared;
      } else if (auto done = try_without(&tried); !done) {
        return done;
      }
      tell(fmt::format("without the {} of {}: {}", lock.kind, lock.functions.front(),
                       name_of(tried.need)));
      report_.locks.push_back(std::move(tried));
    }
    return true;
  }

  Result<bool> try_without(TriedLock* tried) {
    std::string leave_out;
    for (const std::string& site : tried->lock.sites) {
      leave_out += (leave_out.empty() ? "" : ",") + site;
    }
    uint64_t base_seed = plan_.seed;
    while (tried->need != Need::kNeeded && tried->schedules < plan_.schedules) {
      auto base = make_base(base_seed++, leave_out);
      if (!base) return Error{base.error()};
      const uint64_t count =
          std::min(plan_.schedules - tried->schedules, plan_.schedules_per_base);
      const auto begin = Clock::now();
      auto done = rehearsals_.run(*base, plan_.seed + tried->schedules, count,
                                  [&](const Rehearsed& one) {
        ++tried->schedules;
        ++report_.all_schedules;
        if (one.end == RehearsalEnd::kAgreed) return true;
        tried->need = Need::kNeeded;
        tried->caught = failure_of(one, *base).name();
        tried->caught_by = one.end;
        return false;
      });
      report_.rehearsal_s += seconds_since(begin);
      if (!done) return done;
    }
    return true;
  }

  const VerifyPlan& plan_;
  const std::string directory_;
  Rehearsals rehearsals_;
  VerifyReport report_;
  std::vector<analysis::SelectedLock> selected_;
};

Result<Rehearsals> prepare(const VerifyPlan& plan, const std::string& directory) {
  Rehearsals::Plan rehearsals;
  rehearsals.server = plan.server;
  rehearsals.directory = directory;
  rehearsals.jobs = plan.jobs;
  rehearsals.stall_ms = static_cast<uint32_t>(plan.stall_s * 1000);
  return Rehearsals::prepare(rehearsals);
}

}  // namespace

Result<VerifyReport> verify_server(const VerifyPlan& plan) {
  auto work = WorkDirectory::make();
  if (!work) return Error{work.error()};
  auto rehearsals = prepare(plan, work->path());
  if (!rehearsals) return Error{rehearsals.error()};
  return Verification(plan, work->path(), std::move(*rehearsals)).run();
}

Result<VerifyReport> replay_kept(const std::string& directory, const VerifyPlan& plan) {
  auto work = WorkDirectory::make();
  if (!work) return Error{work.error()};
  auto kept = load_kept_failure(directory);
  if (!kept) return Error{kept.error()};
  // The words of the server may name files below the directory where it was run.
  std::error_code error;
  std::filesystem::current_path(kept->working_directory, error);
  if (error) {
    return Error{fmt::format("{}: can't be gone to: {}; the server was run there",
                             kept->working_directory, error.message())};
  }
  VerifyPlan own = plan;
  own.server = kept->server;
  own.keep.clear();
  auto rehearsals = prepare(own, work->path());
  if (!rehearsals) return Error{rehearsals.error()};
  return Verification(own, work->path(), std::move(*rehearsals)).run_kept(*kept);
}

}  // namespace auxin::cli
