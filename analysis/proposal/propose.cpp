// SPDX-License-Identifier: Apache-2.0
//
// From findings to a map. Each part is taken from what the recording shows; what it does not show
// is said to be missing, never guessed.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "analysis/proposal/boundary.h"
#include "analysis/proposal/corba_vocabulary.h"
#include "analysis/proposal/named_functions.h"
#include "analysis/proposal/proposal.h"
#include "analysis/proposal/request_shape.h"
#include "analysis/proposal/short_patterns.h"
#include "analysis/proposal/thread_tasks.h"
#include "analysis/trace/symbols.h"
#include "metamarkers/symbol_pattern.h"

namespace auxin::analysis {
namespace {

// One function for each version of a protocol: functions that differ in digits only are meant
// together, the last digit that differs becoming a wildcard.
void generalise_version(const Linkage& linkage, ProposedJoinPoint& point) {
  const std::string& function = point.function;
  for (size_t at = std::min(function.find('('), function.size()); at-- > 0;) {
    if (function[at] < '0' || function[at] > '9') continue;
    std::string pattern = function;
    pattern[at] = '?';
    const markers::SymbolPattern siblings(pattern);
    int count = 0;
    for (const LinkedModule& module : linkage.modules()) {
      if (library_pattern(module.name()) != point.library) continue;
      for (const std::string& symbol : module.functions)
        if (linkage.interceptable(symbol) && siblings.matches_symbol(symbol.c_str())) ++count;
    }
    if (count < 2) continue;
    point.function = pattern;
    point.evidence.push_back(fmt::format("{} functions differ in that digit only", count));
    return;
  }
}

class Proposer {
 public:
  explicit Proposer(const Trace& trace)
      : trace_(trace), objects_(find_objects(trace)), linkage_(Linkage::read(trace.modules)) {}

  Result<Proposal> run() {
    exchanges_ = find_exchanges(trace_, objects_);
    const auto hand_over = find_hand_over(trace_, objects_);
    if (exchanges_.empty() && hand_over) {
      return Error{fmt::format(
          "{} answers were sent in {} by other threads than those that receive in {}: requests are "
          "handed over, and a map alone can't say where a thread takes one up; annotate that place "
          "with auxin_request_begin (docs/locks.md)",
          hand_over->answers, hand_over->answered_in, hand_over->received_in)};
    }
    if (exchanges_.empty()) {
      return Error{"no thread was seen that receives on a connection and answers there: give a "
                   "--load that calls the server"};
    }
    const auto dispatcher = find_dispatcher(trace_, linkage_, exchanges_);
    if (!dispatcher) {
      return Error{fmt::format("{} answers were seen, but no library's function brackets receiving "
                               "and answering: one thread may read and another answer; annotate "
                               "the middleware (auxin/metamarker.h)",
                               exchanges_.size())};
    }
    proposal_.command = trace_.command;
    proposal_.soname = dispatcher->library;
    proposal_.name = name_of_map(dispatcher->library);
    proposal_.layers = find_layers(linkage_, dispatcher->library);
    add_brackets(*dispatcher);
    boundary_ = find_boundary(trace_, objects_, linkage_, proposal_.layers, brackets_);
    add_contention_points();
    add_value_sources();
    add_threads();
    add_calls_out();
    for (ProposedJoinPoint& point : find_by_name(linkage_, proposal_.layers))
      proposal_.join_points.push_back(std::move(point));
    add_output_candidates();
    find_task_class();
    shorten();
    return std::move(proposal_);
  }

 private:
  static std::string name_of_map(const std::string& soname) {
    std::string name = soname.substr(0, soname.find(".so"));
    if (name.starts_with("lib")) name.erase(0, 3);
    return name;
  }

  ProposedJoinPoint& add(const std::string& name, const std::string& role,
                         const std::string& symbol) {
    ProposedJoinPoint point;
    point.name = name;
    point.role = role;
    point.function = demangled(symbol);
    const LinkedModule* owner = linkage_.owner(symbol);
    point.library = owner != nullptr ? library_pattern(owner->name()) : "*";
    proposal_.join_points.push_back(std::move(point));
    proposed_.insert(symbol);
    return proposal_.join_points.back();
  }

  void add_bracket(const char* name, const char* role, const std::optional<FunctionFinding>& found,
                   std::string& symbol, const char* evidence) {
    if (!found) return;
    symbol = found->symbol;
    add(name, role, found->symbol)
        .evidence.push_back(fmt::format("{}: in {} of {} cases", evidence, found->votes,
                                        found->of));
  }

  void add_brackets(const FunctionFinding& dispatcher) {
    add_bracket("dispatcher", "dispatcher", dispatcher, brackets_.dispatcher,
                "the innermost function in which one thread receives and answers");
    const RequestShape shape =
        find_shape(trace_, linkage_, proposal_.layers, exchanges_, dispatcher.symbol);
    add_bracket("request", "request", shape.request, brackets_.request,
                "what the dispatcher calls on the way to the application");
    add_bracket("locate-request", "request", shape.locate, brackets_.locate,
                "what the dispatcher calls to answer without the application");
    add_bracket("upcall", "upcall", shape.upcall, brackets_.upcall,
                "the innermost function of the middleware that has a servant's calls inside");
    if (!shape.upcall) {
      proposal_.missing.push_back(
          "upcall: no call of a servant was seen; it must lock, wait, send or read the time to be");
    }
  }

  // The mutexes that nearly every request locks on its way to its servant.
  std::set<uint32_t> table_mutexes() const {
    std::map<uint32_t, uint64_t> requests_with;
    uint64_t requests = 0;
    for (const Exchange& exchange : exchanges_) {
      const std::vector<Event>& events = trace_.threads[exchange.thread].events;
      // The rest of a long request: its servant was found before.
      if (position_of(trace_, trace_.path(events[exchange.receive].path), brackets_.request)) {
        continue;
      }
      std::set<uint32_t> locked;
      bool reached = false;
      for (size_t i = exchange.receive + 1; i < exchange.send; ++i) {
        if (!trace_.is_call(events[i])) continue;
        const auto path = trace_.path(events[i].path);
        if (position_of(trace_, path, brackets_.upcall)) {
          reached = true;
          break;
        }
        const uint32_t object = objects_.of_event[exchange.thread][i];
        if (object != kNoObject && trace_.call_of(events[i]).name == "pthread_mutex_lock" &&
            position_of(trace_, path, brackets_.request)) {
          locked.insert(object);
        }
      }
      if (!reached) continue;
      ++requests;
      for (const uint32_t mutex : locked) ++requests_with[mutex];
    }
    std::set<uint32_t> result;
    for (const auto& [mutex, count] : requests_with)
      if (count * 10 >= requests * 9) result.insert(mutex);
    return result;
  }

  void add_contention_points() {
    if (brackets_.upcall.empty()) return;
    const std::set<uint32_t> tables = table_mutexes();
    if (tables.empty()) {
      proposal_.missing.push_back(
          "contention points: no lock was seen that every request takes on its way to its servant");
    }
    std::set<std::string> classes;
    std::set<std::string> calls_back;
    for (const BoundaryFunction& function : boundary_.functions) {
      const std::string text = demangled(function.symbol);
      const Meaning meaning = meaning_of(operation_of(text));
      const bool at_table = std::any_of(
          function.mutexes.begin(), function.mutexes.end(),
          [&](uint32_t mutex) { return tables.contains(mutex); });
      if (meaning == Meaning::kObjectTable && at_table) {
        ProposedJoinPoint& point = add("object-table", "contention-point", function.symbol);
        point.evidence.push_back(fmt::format(
            "called by the application ({} of its threads); takes the lock that every request "
            "takes to find its servant",
            function.threads.size()));
        if (function.in_requests) point.evidence.push_back("also called inside requests");
        point.optional = true;
        classes.insert(class_of_operation(text));
        calls_back.insert(function.calls_back.begin(), function.calls_back.end());
      } else if (meaning == Meaning::kAdapterTree) {
        ProposedJoinPoint& point = add("adapter-tree", "contention-point", function.symbol);
        point.evidence.push_back("called by the application; makes an adapter under a name");
        point.optional = true;
        classes.insert(class_of_operation(text));
      } else if (at_table) {
        reject(function, text, meaning);
      }
    }
    add_unseen(classes);
    for (const std::string& symbol : calls_back) {
      if (proposed_.contains(symbol) || brackets_.contain(symbol)) continue;
      add("calls-back", "contention-ends", symbol)
          .evidence.push_back("calls the application inside a contention point");
    }
  }

  void reject(const BoundaryFunction& function, const std::string& text, Meaning meaning) {
    std::string reason =
        "takes the lock that requests take to find their servants, but the standard names no "
        "operation like it whose order shows";
    if (meaning == Meaning::kNoOrder) reason = "its result depends on its arguments alone";
    if (meaning == Meaning::kBlocks || function.waits || function.sends) {
      reason = "takes that lock, but may wait or talk to others: it can't be ordered as a whole";
    }
    const LinkedModule* owner = linkage_.owner(function.symbol);
    proposal_.rejected.push_back({text, owner != nullptr ? owner->name() : "", reason});
  }

  // Operations of the same classes that this run did not come by.
  void add_unseen(const std::set<std::string>& classes) {
    const LinkedModule* middleware = linkage_.find(proposal_.soname);
    for (const std::string& symbol : middleware->functions) {
      if (proposed_.contains(symbol) || symbol.starts_with("_ZT")) continue;  // thunks of listed
      const std::string text = demangled(symbol);
      const std::string of_class = class_of_operation(text);
      const bool of_the_standard = of_class.starts_with("PortableServer::");
      // What the standard defines other servers may call, though this one does not.
      if (!of_the_standard && !(classes.contains(of_class) && linkage_.interceptable(symbol))) {
        continue;
      }
      const Meaning meaning = meaning_of(operation_of(text));
      if (meaning != Meaning::kObjectTable && meaning != Meaning::kAdapterTree) continue;
      ProposedJoinPoint& point =
          add(meaning == Meaning::kObjectTable ? "object-table" : "adapter-tree",
              "contention-point", symbol);
      point.optional = true;
      point.evidence.push_back(fmt::format(
          "not called in this run; an operation of {}, {}", of_class,
          of_the_standard ? "which the standard defines" : "of which others were"));
    }
  }

  // Where the middleware itself reads the time, a process id or a random number.
  void add_value_sources() {
    std::map<std::string, std::set<std::string>> read;  // by function: what
    for (const TraceThread& thread : trace_.threads) {
      for (const Event& event : thread.events) {
        if (!trace_.is_call(event)) continue;
        const TraceCall& call = trace_.call_of(event);
        if (call.family != os::Family::time && call.family != os::Family::identity &&
            call.family != os::Family::random) {
          continue;
        }
        const auto path = trace_.path(event.path);
        if (path.empty() ||
            proposal_.layers.of(trace_.frames[path[0]].module) != Layer::kInfrastructure) {
          continue;
        }
        for (const uint32_t frame : path) {
          if (proposal_.layers.of(trace_.frames[frame].module) != Layer::kInfrastructure) break;
          if (!linkage_.interceptable(trace_.frames[frame].symbol)) continue;
          if (!brackets_.contain(trace_.frames[frame].symbol))
            read[trace_.frames[frame].symbol].insert(call.name);
          break;
        }
      }
    }
    for (const auto& [symbol, calls] : read) {
      if (proposed_.contains(symbol)) continue;
      std::string names;
      for (const std::string& name : calls) names += (names.empty() ? "" : ", ") + name;
      add("value-source", "value-source", symbol)
          .evidence.push_back(fmt::format("the middleware itself calls {} in it", names));
    }
  }

  void add_threads() {
    for (const ThreadMaker& maker : find_thread_makers(trace_, linkage_, proposal_.layers)) {
      if (proposed_.contains(maker.symbol)) continue;
      add("middleware-thread", "infrastructure", maker.symbol)
          .evidence.push_back(fmt::format("makes threads of the middleware ({} in this run)",
                                          maker.threads));
      if (maker.queue.empty() || proposed_.contains(maker.queue)) continue;
      add("middleware-task", "worker-task", maker.queue)
          .evidence.push_back(fmt::format("calls it, and wakes a waiting thread where there is one "
                                          "({} times)",
                                          maker.wake_ups));
    }
  }

  // Calls of the application that go out over connections that the process opened itself, and the
  // pool that those connections come from.
  void add_calls_out() {
    std::set<std::string> calls;
    for (const BoundaryFunction& function : boundary_.functions)
      if (function.sends && !proposed_.contains(function.symbol)) calls.insert(function.symbol);
    for (const std::string& symbol : calls) {
      add("call-out", "value-source", symbol)
          .evidence.push_back("called by the application; sends on a connection that this process "
                              "opened: whether an answer came in time is a value");
    }
    if (calls.empty()) {
      proposal_.missing.push_back("calls out: the server called nobody");
      return;
    }
    // What is acquired and released under one word is a pool's.
    std::map<std::string, std::set<std::string>> acquire, release;  // by that word: symbols
    const LinkedModule* middleware = linkage_.find(proposal_.soname);
    for (const std::string& symbol : middleware->functions) {
      if (!linkage_.interceptable(symbol) || symbol.starts_with("_ZT")) continue;
      const std::string operation = operation_of(demangled(symbol));
      if (operation.starts_with("acquire")) acquire[operation.substr(7)].insert(symbol);
      if (operation.starts_with("release")) release[operation.substr(7)].insert(symbol);
    }
    const std::set<std::string> inside = called_inside(calls);
    for (const auto& [word, symbols] : acquire) {
      const auto other = release.find(word);
      if (word.empty() || other == release.end()) continue;
      std::set<std::string> both = symbols;
      both.insert(other->second.begin(), other->second.end());
      if (std::none_of(both.begin(), both.end(),
                       [&](const std::string& symbol) { return inside.contains(symbol); })) {
        continue;
      }
      for (const std::string& symbol : both) {
        if (proposed_.contains(symbol)) continue;
        add("choose-connection", "connection-choice", symbol)
            .evidence.push_back(fmt::format("inside a call out something is acquired and released "
                                            "by functions of this name{}",
                                            inside.contains(symbol) ? "" : " (not this one)"));
      }
    }
  }

  // The functions of the middleware on the paths of what happens inside such calls.
  std::set<std::string> called_inside(const std::set<std::string>& calls) const {
    std::set<std::string> inside;
    for (const TraceThread& thread : trace_.threads) {
      for (const Event& event : thread.events) {
        if (!trace_.is_call(event)) continue;
        const auto path = trace_.path(event.path);
        for (size_t at = path.size(); at-- > 0;) {
          if (!calls.contains(trace_.frames[path[at]].symbol)) continue;
          for (size_t inner = 0; inner < at; ++inner)
            inside.insert(trace_.frames[path[inner]].symbol);
          break;
        }
      }
    }
    return inside;
  }

  // What is called inside the upcall between the application's last call and the answer.
  void add_output_candidates() {
    std::map<std::string, uint64_t> passed;
    for (const Exchange& exchange : exchanges_) {
      const std::vector<Event>& events = trace_.threads[exchange.thread].events;
      for (size_t i = exchange.send + 1; i-- > exchange.receive;) {
        if (!trace_.is_call(events[i])) continue;
        const auto path = trace_.path(events[i].path);
        const auto upcall = position_of(trace_, path, brackets_.upcall);
        if (!upcall || *upcall == 0) break;
        if (proposal_.layers.of(trace_.frames[path[*upcall - 1]].module) == Layer::kApplication) {
          break;
        }
        for (size_t at = 0; at < *upcall; ++at) {
          const TraceFrame& frame = trace_.frames[path[at]];
          if (proposal_.layers.of(frame.module) == Layer::kInfrastructure &&
              linkage_.interceptable(frame.symbol) && !proposed_.contains(frame.symbol)) {
            ++passed[frame.symbol];
          }
        }
      }
    }
    constexpr size_t kMost = 24;
    for (const auto& [symbol, count] : passed) {
      if (proposal_.output_candidates.size() == kMost) break;
      ProposedJoinPoint point;
      point.name = kOutputCandidate + std::to_string(proposal_.output_candidates.size());
      point.role = "plain";
      point.function = demangled(symbol);
      point.library = library_pattern(linkage_.owner(symbol)->name());
      proposal_.output_candidates.push_back(std::move(point));
    }
  }

  // To what fits on a line of the map.
  void shorten() {
    constexpr size_t kRoom = 100 - std::string_view("function = \"\"").size();
    const LinkedModule* middleware = linkage_.find(proposal_.soname);
    for (ProposedJoinPoint& point : proposal_.join_points) {
      if (point.function.size() <= kRoom) continue;
      const std::vector<std::string> symbols(middleware->functions.begin(),
                                             middleware->functions.end());
      point.function = short_pattern(point.function, symbols, kRoom);
    }
  }

  // The class of the function that most often calls the dispatcher.
  void find_task_class() {
    std::map<std::string, uint64_t> callers;
    for (const Exchange& exchange : exchanges_) {
      const auto path = trace_.path(trace_.threads[exchange.thread].events[exchange.receive].path);
      const auto at = position_of(trace_, path, brackets_.dispatcher);
      if (at && *at + 1 < path.size()) ++callers[trace_.frames[path[*at + 1]].function];
    }
    uint64_t most = 0;
    for (const auto& [function, count] : callers) {
      if (count <= most || function.empty()) continue;
      most = count;
      proposal_.task_class = class_of_operation(function);
    }
  }

  const Trace& trace_;
  TraceObjects objects_;
  Linkage linkage_;
  std::vector<Exchange> exchanges_;
  Brackets brackets_;
  Boundary boundary_;
  std::set<std::string> proposed_;
  Proposal proposal_;
};

}  // namespace

Result<Proposal> propose_map(const Trace& trace) { return Proposer(trace).run(); }

void add_offsets(Proposal& proposal, const FoundOffsets& found, const Trace& trace) {
  proposal.offsets = found.offsets;
  proposal.missing.insert(proposal.missing.end(), found.missing.begin(), found.missing.end());
  for (const ProposedJoinPoint& candidate : proposal.output_candidates) {
    if (candidate.name != found.output_begins) continue;
    ProposedJoinPoint point = candidate;
    point.name = "output-begins";
    point.role = "output-begins";
    point.evidence = {
        "after it the object passed points to the unwritten rest of a reply's buffer"};
    const Linkage linkage = Linkage::read(trace.modules);
    generalise_version(linkage, point);
    proposal.join_points.push_back(std::move(point));
  }
}

}  // namespace auxin::analysis
