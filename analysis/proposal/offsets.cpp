// SPDX-License-Identifier: Apache-2.0
#include "analysis/proposal/offsets.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "analysis/trace/symbols.h"

namespace auxin::analysis {
namespace {

// GIOP: a header of 12 bytes, then, from version 1.2 on, the request id.
constexpr size_t kHeaderBytes = 12, kTypeAt = 7, kFlagsAt = 6, kVersionAt = 5;
constexpr unsigned char kRequestType = 0;
constexpr uint64_t kLeastRoom = 1024, kMostRoom = 64 * 1024;  // of a fresh output buffer
constexpr int kPointerReach = 256, kSocketReach = 64;  // bytes of an object that are looked at

// What is known of the request that a thread worked for at some moment.
struct KnownRequest {
  int descriptor = -1;
  uint32_t id = 0;
};

// What each thread received, in the order of time. An event that holds bytes has no time.
struct Received {
  uint64_t clock;
  std::optional<KnownRequest> request;  // nothing: no request, or none of this version
};

std::optional<KnownRequest> request_in(const Event& transfer, const Event& bytes_of_it) {
  unsigned char bytes[sizeof(Event)] = {};
  memcpy(bytes, &bytes_of_it, sizeof bytes);
  if (bytes_of_it.result < static_cast<int>(kHeaderBytes + 4) || memcmp(bytes, "GIOP", 4) != 0 ||
      bytes[kVersionAt] < 2 || (bytes[kFlagsAt] & 1) == 0 || bytes[kTypeAt] != kRequestType) {
    return std::nullopt;
  }
  KnownRequest known;
  known.descriptor = static_cast<int>(transfer.object);
  memcpy(&known.id, bytes + kHeaderBytes, sizeof known.id);
  return known;
}

std::vector<Received> received_by(const Trace& trace, const TraceThread& thread) {
  std::vector<Received> received;
  for (size_t i = 1; i < thread.events.size(); ++i) {
    const Event& bytes = thread.events[i];
    const Event& transfer = thread.events[i - 1];
    if ((bytes.kind & recording::kKindMask) != recording::kBytes || !trace.is_call(transfer) ||
        !trace.call_of(transfer).name.starts_with("recv")) {
      continue;
    }
    received.push_back({transfer.begin, request_in(transfer, bytes)});
  }
  return received;
}

// The last message that had been received by then, if it is a request.
std::optional<KnownRequest> request_at(const std::vector<Received>& received, uint64_t clock) {
  const auto end = std::partition_point(received.begin(), received.end(),
                                        [&](const Received& one) { return one.clock <= clock; });
  return end == received.begin() ? std::nullopt : (end - 1)->request;
}

// One snapshot of a request object, with what is known of its request.
struct Sample {
  const Snapshot* snapshot;
  KnownRequest request;
};

template <typename Key>
class Votes {
 public:
  void add(const Key& key) { ++votes_[key]; }
  // The first of those with most votes, if most of `of` samples voted for it. (Not all: a thread
  // may have received the next message already.)
  std::optional<Key> winner(size_t of) const {
    const Key* best = nullptr;
    size_t most = 0;
    for (const auto& [key, votes] : votes_) {
      if (votes <= most) continue;
      most = votes;
      best = &key;
    }
    if (best == nullptr || most * 10 < of * 6) return std::nullopt;
    return *best;
  }

 private:
  std::map<Key, size_t> votes_;
};

class OffsetSearch {
 public:
  OffsetSearch(const Trace& trace, const std::vector<Snapshot>& snapshots,
               const std::string& task_class)
      : trace_(trace), snapshots_(snapshots), task_class_(task_class) {
    std::unordered_map<uint32_t, std::vector<Received>> received;  // by thread
    for (const TraceThread& thread : trace.threads)
      received[thread.tid] = received_by(trace, thread);
    for (const Snapshot& snapshot : snapshots) {
      if (snapshot.join_point != kUpcallName) continue;
      if (const auto known = request_at(received[snapshot.tid], snapshot.clock)) {
        samples_.push_back({&snapshot, *known});
        descriptors_.insert(known->descriptor);
        ids_.insert(known->id);
      }
    }
  }

  FoundOffsets run() {
    if (samples_.size() < 8 || descriptors_.size() < 2 || ids_.size() < 4) {
      found_.missing.push_back(fmt::format(
          "offsets: only {} requests over {} connections could be looked into; give a load with "
          "several connections and some dozens of requests (GIOP 1.2)",
          samples_.size(), descriptors_.size()));
      return std::move(found_);
    }
    find_request_id();
    find_connection();
    find_operation();
    find_output();
    find_outgoing();
    find_tasks();
    return std::move(found_);
  }

 private:
  void tell(const std::string& name, int64_t value, std::string evidence) {
    found_.offsets.push_back({name, value, std::move(evidence)});
  }
  void miss(const std::string& what) { found_.missing.push_back(what); }

  void find_request_id() {
    Votes<int> votes;
    for (const Sample& sample : samples_) {
      for (int at = 0; at + 4 <= static_cast<int>(sample.snapshot->object_bytes()); at += 4) {
        if (sample.snapshot->number_at(sample.snapshot->object + static_cast<uint64_t>(at)) ==
            sample.request.id) {
          votes.add(at);
        }
      }
    }
    if (const auto at = votes.winner(samples_.size())) {
      tell("giop_s.request_id", *at,
           fmt::format("holds the id of the message received before, in {} requests",
                       samples_.size()));
    } else {
      miss("giop_s.request_id: no number of the request object is the message's id");
    }
  }

  // The request object points to something that points to something that holds the descriptor.
  void find_connection() {
    Votes<std::tuple<int, int, int>> votes;
    for (const Sample& sample : samples_) {
      const Snapshot& snapshot = *sample.snapshot;
      for (int first = 0; first + 8 <= static_cast<int>(snapshot.object_bytes()); first += 8) {
        const auto strand = snapshot.word_at(snapshot.object + static_cast<uint64_t>(first));
        if (!strand || *strand == 0) continue;
        for (int second = 0; second < kPointerReach; second += 8) {
          const auto connection = snapshot.word_at(*strand + static_cast<uint64_t>(second));
          if (!connection || *connection == 0) continue;
          for (int third = 8; third < kSocketReach; third += 4) {
            if (snapshot.number_at(*connection + static_cast<uint64_t>(third)) ==
                static_cast<uint32_t>(sample.request.descriptor)) {
              votes.add({first, second, third});
            }
          }
        }
      }
    }
    const auto chain = votes.winner(samples_.size());
    if (!chain) {
      miss("strand.connection, connection.socket: the descriptor of a request's connection was not "
           "found behind its object");
      return;
    }
    const auto [strand, connection, socket] = *chain;
    const std::string evidence =
        fmt::format("leads to the descriptor that the message came by, in {} requests over {} "
                    "connections",
                    samples_.size(), descriptors_.size());
    tell("giop_s.strand", strand, evidence);
    tell("strand.connection", connection, evidence);
    tell("connection.socket", socket, evidence);
    strand_at_ = strand;
  }

  // A text of the object's that stands in the message, as a GIOP string: its length before it.
  static bool in_message(const Snapshot& snapshot, const std::string& text) {
    const uint32_t length = static_cast<uint32_t>(text.size()) + 1;
    std::string wanted(reinterpret_cast<const char*>(&length), sizeof length);
    wanted += text;
    wanted += '\0';
    for (const Snapshot::Block& block : snapshot.blocks) {
      const std::string_view bytes(reinterpret_cast<const char*>(block.bytes.data()),
                                   block.bytes.size());
      const size_t message = bytes.find("GIOP");
      if (message != bytes.npos && bytes.find(wanted, message) != bytes.npos) return true;
    }
    return false;
  }

  void find_operation() {
    Votes<int> votes;
    std::map<int, std::set<std::string>> texts;
    size_t with_message = 0;
    for (const Sample& sample : samples_) {
      const Snapshot& snapshot = *sample.snapshot;
      bool any = false;
      for (int at = 0; at + 8 <= static_cast<int>(snapshot.object_bytes()); at += 8) {
        const auto address = snapshot.word_at(snapshot.object + static_cast<uint64_t>(at));
        if (!address) continue;
        const auto text = snapshot.text_at(*address);
        if (!text || text->empty() || !in_message(snapshot, *text)) continue;
        votes.add(at);
        texts[at].insert(*text);
        any = true;
      }
      if (any) ++with_message;
    }
    const auto at = with_message > 0 ? votes.winner(with_message) : std::nullopt;
    if (at && with_message * 2 >= samples_.size()) {
      std::string names;
      for (const std::string& text : texts[*at]) {
        if (names.size() < 60) names += (names.empty() ? "" : ", ") + text;
      }
      tell("giop_s.operation", *at,
           fmt::format("a text that stands in the message: {}", names));
    } else {
      miss("giop_s.operation: no text of the request object stands in the message");
    }
  }

  // A fresh reply: a pointer just behind its header, and one to the end of the room for it.
  void find_output() {
    struct Choice {
      int marker, end;
      bool operator<(const Choice& other) const {
        return std::tie(marker, end) < std::tie(other.marker, other.end);
      }
    };
    std::map<std::string, Votes<Choice>> votes;
    std::map<std::string, size_t> counts, near;  // near: of the request object itself
    std::map<std::string, Votes<int64_t>> streams;
    // How many bytes are between header and pointer, and how often. Where always the same, nothing
    // but the header has been written.
    std::map<std::string, std::map<Choice, std::map<uint64_t, size_t>>> behind;
    for (const Snapshot& snapshot : snapshots_) {
      if (!snapshot.join_point.starts_with(kOutputCandidate) || snapshot.dispatched == 0) continue;
      ++counts[snapshot.join_point];
      const auto away = static_cast<int64_t>(snapshot.object - snapshot.dispatched);
      if (away > -1024 && away < 1024) {
        streams[snapshot.join_point].add(away);
        ++near[snapshot.join_point];
      }
      for (int at = 0; at + 8 <= kPointerReach; at += 8) {
        const auto marker = snapshot.word_at(snapshot.object + static_cast<uint64_t>(at));
        if (!marker) continue;
        const auto header = header_before(snapshot, *marker);
        if (!header) continue;
        for (int end = 0; end + 8 <= kPointerReach; end += 8) {
          const auto last = snapshot.word_at(snapshot.object + static_cast<uint64_t>(end));
          if (!last || *last <= *marker + kLeastRoom || *last > *marker + kMostRoom) continue;
          votes[snapshot.join_point].add({at, end});
          ++behind[snapshot.join_point][{at, end}][*header];
        }
      }
    }
    std::string best;
    uint64_t least_behind = 0;
    for (const auto& [name, count] : counts) {
      if (near[name] < 8 || !votes[name].winner(count) || !streams[name].winner(near[name])) {
        continue;
      }
      const std::map<uint64_t, size_t>& distances = behind[name][*votes[name].winner(count)];
      const auto& [least, times] = *distances.begin();
      size_t all = 0;
      for (const auto& [bytes, count_of_these] : distances) all += count_of_these;
      if (times * 20 < all * 19 || (!best.empty() && least >= least_behind)) continue;
      best = name;
      least_behind = least;
    }
    if (best.empty()) {
      miss("output-begins: no function was found after which a reply's buffer is ready");
      return;
    }
    const Choice choice = *votes[best].winner(counts[best]);
    const int64_t stream = *streams[best].winner(near[best]);
    found_.output_begins = best;
    const std::string evidence =
        fmt::format("of the object passed where a reply begins, {} times", counts[best]);
    tell("stream.output_marker", choice.marker, "points behind a fresh header; " + evidence);
    tell("stream.output_end", choice.end, "points to the end of that buffer; " + evidence);
    tell("giop_s.stream", stream, "from the request object to that object");
    stream_at_ = stream;
  }

  // Connections that the server opened itself are told from those that it accepted by a pointer
  // that only they have.
  void find_outgoing() {
    if (!strand_at_ || !stream_at_) return;
    std::map<int, size_t> absent_in_accepted, present_in_opened;
    size_t accepted = 0, opened = 0;
    for (const Snapshot& snapshot : snapshots_) {
      if (snapshot.join_point != found_.output_begins) continue;
      const bool serves = snapshot.dispatched != 0 &&
                          static_cast<int64_t>(snapshot.object - snapshot.dispatched) ==
                              *stream_at_;
      const auto strand =
          snapshot.word_at(snapshot.object + static_cast<uint64_t>(*strand_at_ - *stream_at_));
      if (!strand || !snapshot.word_at(*strand)) continue;
      ++(serves ? accepted : opened);
      for (int at = 8; at < kPointerReach; at += 8) {
        const auto word = snapshot.word_at(*strand + static_cast<uint64_t>(at));
        if (serves && word == 0u) ++absent_in_accepted[at];
        if (!serves && word && *word > kPointerReach && snapshot.word_at(*word))
          ++present_in_opened[at];
      }
    }
    for (const auto& [at, count] : present_in_opened) {
      if (opened < 2 || accepted < 2 || count < opened || absent_in_accepted[at] < accepted)
        continue;
      tell("strand.address", at,
           fmt::format("points to something in the {} times that the server called others, and is "
                       "null in the {} times that it answered",
                       opened, accepted));
      return;
    }
    miss(opened < 2 ? "strand.address: the server opened no connection itself"
                    : "strand.address: nothing tells the connections that the server opened");
  }

  // How many bytes before the address a header begins; nothing: there is none. (Its type may be
  // written later. What came in ends soon behind its header; the room for a reply does not.)
  static std::optional<uint64_t> header_before(const Snapshot& snapshot, uint64_t address) {
    for (uint64_t back = kHeaderBytes; back <= 32; ++back) {
      const auto start = snapshot.word_at(address - back);
      if (!start) continue;
      unsigned char bytes[8];
      memcpy(bytes, &*start, sizeof bytes);
      if (memcmp(bytes, "GIOP", 4) == 0) return back;
    }
    return std::nullopt;
  }

  // Tasks are told apart by their class: the name of what their first word points to.
  void find_tasks() {
    if (task_class_.empty()) {
      miss("task.category, task.purpose: what serves a request is no class with tasks of its own");
      return;
    }
    std::vector<CodeModule> modules;
    for (const TraceModule& module : trace_.modules)
      modules.push_back({module.path, module.base, module.begin, module.end});
    const Symbols symbols(modules);
    std::vector<const Snapshot*> serving, others;
    for (const Snapshot& snapshot : snapshots_) {
      if (snapshot.join_point != kTaskName) continue;
      const auto table = snapshot.word_at(snapshot.object);
      if (!table) continue;
      const std::string name = demangled(symbols.symbol_at(*table));
      (name == "vtable for " + task_class_ ? serving : others).push_back(&snapshot);
    }
    find_task_fields(serving, others);
  }

  void find_task_fields(const std::vector<const Snapshot*>& serving,
                        const std::vector<const Snapshot*>& others) {
    constexpr int kTaskBytes = 64;
    // What the binding takes the two numbers for (libmeta_req/orb_binding.cpp).
    constexpr uint32_t kImmediateDispatch = 1, kServerUpcall = 1;
    const auto values = [](const std::vector<const Snapshot*>& tasks, int at) {
      std::set<uint32_t> result;
      for (const Snapshot* task : tasks) {
        const auto value = task->number_at(task->object + static_cast<uint64_t>(at));
        result.insert(value.value_or(~0u));
      }
      return result;
    };
    std::optional<int> purpose, category;
    for (int at = 8; at < kTaskBytes && !serving.empty() && !others.empty(); at += 4) {
      const std::set<uint32_t> of_serving = values(serving, at), of_others = values(others, at);
      if (of_serving == std::set<uint32_t>{kServerUpcall} && !of_others.contains(kServerUpcall) &&
          *of_others.rbegin() < 16) {
        purpose = at;
      } else if (!category && *of_serving.rbegin() <= kImmediateDispatch &&
                 of_others == std::set<uint32_t>{kImmediateDispatch}) {
        category = at;
      }
    }
    if (!purpose || !category) {
      miss(fmt::format("task.category, task.purpose: {} tasks that serve requests and {} others do "
                       "not tell them apart",
                       serving.size(), others.size()));
      return;
    }
    const std::string evidence = fmt::format("of {} tasks that serve requests and {} others",
                                             serving.size(), others.size());
    tell("task.category", *category, "may wait for a worker: " + evidence);
    tell("task.purpose", *purpose, "tells the two kinds apart: " + evidence);
  }

  const Trace& trace_;
  const std::vector<Snapshot>& snapshots_;
  std::string task_class_;
  std::vector<Sample> samples_;
  std::set<int> descriptors_;
  std::set<uint32_t> ids_;
  std::optional<int64_t> strand_at_, stream_at_;
  FoundOffsets found_;
};

}  // namespace

FoundOffsets find_offsets(const Trace& trace, const std::vector<Snapshot>& snapshots,
                          const std::string& task_class) {
  return OffsetSearch(trace, snapshots, task_class).run();
}

}  // namespace auxin::analysis
