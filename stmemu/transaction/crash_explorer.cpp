// SPDX-License-Identifier: Apache-2.0
#include "stmemu/transaction/crash_explorer.h"

#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

#include "stmemu/check.h"
#include "stmemu/memory/page_table.h"
#include "stmemu/transaction/activation.h"
#include "stmemu/transaction/descriptor.h"

namespace auxin::stm {
namespace {

PlainMemory* recording = nullptr;

}  // namespace

void bank_step(int bank, uint64_t offset, uint64_t value) {
  if (recording == nullptr) return;
  recording->steps_.push_back(
      {bank, offset, value, bank < 0 ? 0 : *recording->word(bank, offset)});
}

// --- the memory ---

PlainMemory::PlainMemory(uint64_t bank_bytes, uint64_t seed) : bank_bytes_(bank_bytes) {
  whole_ = static_cast<char*>(mmap(nullptr, memory_file_bytes(bank_bytes), PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  CHECK(whole_ != MAP_FAILED, "there is memory for a test");
  Superblock block = {};
  memcpy(block.magic, kMemoryMagic, sizeof(kMemoryMagic));
  block.format_version = kMemoryFormatVersion;
  block.architecture = kArchitecture;
  block.seed = seed;
  block.bank_size_bytes = bank_bytes;
  memory_.map_given(whole_, block);
  for (Bank* bank : {&memory_.banks().a, &memory_.banks().b}) {
    block.checksum = superblock_checksum(block, bank->number());
    bank->store(0, &block, sizeof(block));
  }
  memory_.make_board();
  PageTable(memory_).format();
  PageTable(memory_).rebuild();
  format_descriptor(memory_, kBootDescriptorOffset);
  fresh_board_.assign(reinterpret_cast<const char*>(&memory_.board()), sizeof(Board));
}

PlainMemory::~PlainMemory() { munmap(whole_, memory_file_bytes(bank_bytes_)); }

uint64_t* PlainMemory::word(int bank, uint64_t offset) const {
  return reinterpret_cast<uint64_t*>(whole_ + static_cast<uint64_t>(bank) * bank_bytes_ + offset);
}

bool PlainMemory::same_banks(const PlainMemory& other) const {
  return memcmp(whole_, other.whole_, 2 * bank_bytes_) == 0;
}

void PlainMemory::renew_board() {
  memcpy(static_cast<void*>(&memory_.board()), fresh_board_.data(), fresh_board_.size());
}

void PlainMemory::forget_claims() {
  memset(static_cast<void*>(&memory_.owner_word(0)), 0,
         bank_bytes_ / sizeof(ObjectHeader) * sizeof(uint64_t));
}

void PlainMemory::start_recording() {
  CHECK(recording == nullptr, "one memory records at a time");
  recording = this;
  steps_.clear();
}

void PlainMemory::stop_recording() {
  CHECK(recording == this, "what records is stopped");
  recording = nullptr;
}

void PlainMemory::apply(const Step& step) {
  uint64_t* where = word(step.bank, step.offset);
  steps_.push_back({step.bank, step.offset, step.value, *where});
  *where = step.value;
}

void PlainMemory::roll_back_to(size_t length) {
  while (steps_.size() > length) {
    const Step& step = steps_.back();
    if (step.bank >= 0) *word(step.bank, step.offset) = step.before;
    steps_.pop_back();
  }
}

// --- what an image should be ---

bool object_is(const PhysicalMemory& memory, uint64_t address, const Expected* expected) {
  Place place;
  const bool located = locate(memory, address, &place);
  if (!located) return expected == nullptr;
  ObjectHeader a, b;
  memcpy(&a, memory.banks().a.at(place.header), sizeof(a));
  memcpy(&b, memory.banks().b.at(place.header), sizeof(b));
  if (memcmp(&a, &b, sizeof(a)) != 0) return false;
  if (expected == nullptr || !a.live()) return expected == nullptr && !a.live();
  if (a.kind() != expected->kind) return false;
  if (a.kind() != ObjectKind::kUser) return true;
  const std::string& contents = expected->contents;
  return a.size_bytes() == contents.size() &&
         memcmp(memory.banks().a.at(address), contents.data(), contents.size()) == 0 &&
         memcmp(memory.banks().b.at(address), contents.data(), contents.size()) == 0;
}

CrashExplorer::Side CrashExplorer::side_of_objects() const {
  const PhysicalMemory& memory = world_.memory();
  for (const auto& [address, expected] : unchanged_) {
    if (!object_is(memory, address, expected)) return kNeither;
  }
  const auto all = [&](const Expected* Change::*side) {
    return std::all_of(changes_.begin(), changes_.end(), [&](const Change& change) {
      return object_is(memory, change.address, change.*side);
    });
  };
  if (all(&Change::before)) return kBefore;
  return all(&Change::after) ? kAfter : kNeither;
}

// Runs tile both banks alike, what the board says of them agrees, and no object lives that should
// not.
std::string CrashExplorer::judge_page_table(Side side) {
  const PhysicalMemory& memory = world_.memory();
  const Banks& banks = memory.banks();
  size_t live = 0;
  for (uint64_t page = 0; page < memory.pages();) {
    PageHead a, b;
    memcpy(&a, banks.a.at(head_offset(page)), sizeof(a));
    memcpy(&b, banks.b.at(head_offset(page)), sizeof(b));
    if (memcmp(&a, &b, sizeof(a)) != 0 || a.checksum != head_checksum(memory.seed(), page, a) ||
        a.pages == 0 || a.pages > memory.pages() - page) {
      return "the head of page " + std::to_string(page) + " is not sound";
    }
    const uint64_t said = page | static_cast<uint64_t>(a.size_class) << 32 |
                          static_cast<uint64_t>(a.use) << 40;
    for (uint64_t at = page; at < page + a.pages; ++at) {
      if (memory.page_info(at).head_and_class.load() != said) {
        return "the board says something else of page " + std::to_string(at);
      }
    }
    if (static_cast<PageUse>(a.use) == PageUse::kObjects) {
      for (uint32_t slot = 0; slot < memory.classes().slots(a.size_class); ++slot) {
        ObjectHeader header;
        memcpy(&header, banks.a.at(page * kPageBytes + slot * sizeof(header)), sizeof(header));
        live += header.live();
      }
    }
    page += a.pages;
  }
  size_t expected = 0;
  for (const auto& [address, object] : unchanged_) expected += object->kind == ObjectKind::kUser;
  for (const Change& change : changes_) {
    const Expected* object = side == kAfter ? change.after : change.before;
    expected += object != nullptr && object->kind == ObjectKind::kUser;
  }
  if (live != expected) {
    return std::to_string(live) + " objects live, expected " + std::to_string(expected);
  }
  return {};
}

std::string CrashExplorer::judge(Side side) {
  const Side seen = side_of_objects();
  // A transaction without effects is on both sides.
  if (seen == kNeither) return "objects are neither as before nor as after the transaction";
  if (!changes_.empty() && seen != side) {
    return side == kAfter ? "a committed transaction is lost" : "an unfinished transaction stays";
  }
  return judge_page_table(changes_.empty() ? kBefore : side);
}

// One more transaction.
std::string CrashExplorer::use() {
  PhysicalMemory& memory = world_.memory();
  std::unique_ptr<Activation> activation;
  if (Activation::make(memory, &activation) != Status::kOk) return "no activation can be made";
  if (activation->begin() != Status::kOk) return "no transaction begins: " + activation->message();
  uint64_t address = 0;
  for (const auto& [at, expected] : unchanged_) {
    if (expected->kind == ObjectKind::kUser) address = at;
  }
  const uint64_t word = states_;
  uint64_t made = 0;
  const Status status = activation->allocate(24, ObjectKind::kUser, 7, &made);
  if (status != Status::kOk && status != Status::kFull) return "no object can be made";
  if (status == Status::kOk && activation->write(made, 3, &word, 8) != Status::kOk) {
    return "no object can be written";
  }
  if (address != 0 &&
      (activation->open(address, OpenFor::kChanging, Wait::none()) != Status::kOk ||
       activation->write(address, 0, &word, 1) != Status::kOk)) {
    return "an old object can't be changed: " + activation->message();
  }
  if (activation->commit() != Status::kOk) return "no transaction commits";
  if (memory.board().statistics.repairs.load() != 0) return "an open found damage";
  Place place;
  ObjectHeader header;
  for (const uint64_t object : {made, address}) {
    if (object != 0 && (!locate(memory, object, &place) ||
                        sound_object(memory, place, &header) != Soundness::kSound)) {
      return "what was just committed is not sound";
    }
  }
  return {};
}

// Frees all objects and asks for more than there is: every page that was an object's comes back.
std::string CrashExplorer::use_up() {
  PhysicalMemory& memory = world_.memory();
  std::unique_ptr<Activation> activation;
  if (Activation::make(memory, &activation) != Status::kOk) return "no activation can be made";
  if (activation->begin() != Status::kOk) return "no transaction begins: " + activation->message();
  std::vector<uint64_t> addresses;
  PageTable table(memory);
  table.walk([&](uint64_t page, const PageHead& head) {
    if (static_cast<PageUse>(head.use) != PageUse::kObjects) return true;
    for (uint32_t slot = 0; slot < memory.classes().slots(head.size_class); ++slot) {
      const Place place = place_in_run(memory, page, head, slot);
      ObjectHeader header;
      if (good_copy(memory, memory.banks().a, place, &header) && header.live()) {
        addresses.push_back(place.contents);
      }
    }
    return true;
  });
  for (const uint64_t address : addresses) {
    Status status = activation->open(address, OpenFor::kChanging, Wait::none());
    if (status == Status::kFull) return {};  // no room for so many intents
    if (status == Status::kOk) status = activation->free(address);
    if (status != Status::kOk) return "an object can't be freed: " + activation->message();
  }
  if (activation->commit() != Status::kOk) return "no transaction commits";
  const uint64_t rest = memory.pages() - meta_pages(memory.bank_bytes());
  uint64_t made = 0, descriptors = 0;
  if (activation->begin() != Status::kOk ||
      activation->allocate((rest - 1) * kPageBytes, ObjectKind::kUser, 0, &made) !=
          Status::kFull ||
      activation->commit() != Status::kOk) {
    return "a memory of which descriptors have a part can't be full";
  }
  table.walk([&](uint64_t, const PageHead& head) {
    descriptors += static_cast<PageUse>(head.use) == PageUse::kDescriptors ? head.pages : 0;
    return true;
  });
  if (table.free_pages() + descriptors != rest) {
    return std::to_string(rest - descriptors - table.free_pages()) + " pages are lost";
  }
  return {};
}

// --- the crashes ---

bool CrashExplorer::is_mark(const Step& step) const {
  if (step.bank < 0) return false;
  if (step.offset != kBootDescriptorOffset) {
    Place place;
    if (!locate(world_.memory(), step.offset, &place) || place.use != PageUse::kDescriptors ||
        place.capacity != kDescriptorBytes) {
      return false;
    }
  }
  DescriptorState state;
  return unpack_state(world_.memory().seed(), step.offset, step.value, &state) &&
         state.phase == Phase::kCommitted;
}

// A transaction is decided when its mark stands in a bank.
CrashExplorer::Side CrashExplorer::side_now(Side inherited) const {
  if (inherited != kNeither) return inherited;
  return marks_applied_ > 0 ? kAfter : kBefore;
}

std::string CrashExplorer::explore(const Recorded& transaction) {
  transaction_ = &transaction;
  changes_.clear();
  unchanged_.clear();
  for (const auto& [address, expected] : transaction.before) {
    const auto after = transaction.after.find(address);
    if (after == transaction.after.end()) {
      changes_.push_back({address, &expected, nullptr});
    } else if (after->second == expected) {
      unchanged_.emplace_back(address, &expected);
    } else {
      changes_.push_back({address, &expected, &after->second});
    }
  }
  for (const auto& [address, expected] : transaction.after) {
    if (!transaction.before.contains(address)) changes_.push_back({address, nullptr, &expected});
  }
  world_.start_recording();
  world_.renew_board();
  PageTable(world_.memory()).rebuild();
  marks_applied_ = 0;
  const std::string wrong = explore_steps(transaction.steps, 1, kNeither);
  world_.stop_recording();
  return wrong.empty() ? wrong : transaction.what + ": " + wrong;
}

std::string CrashExplorer::explore_steps(const std::vector<Step>& steps, int depth,
                                         Side inherited) {
  const size_t base = world_.steps().size();
  std::string wrong;
  std::vector<bool> marks(steps.size());
  for (size_t at = 0; at < steps.size(); ++at) {
    marks[at] = inherited == kNeither && is_mark(steps[at]);
  }
  const size_t marks_before = marks_applied_;
  for (size_t from = 0; from < steps.size() && wrong.empty();) {
    size_t to = from;
    while (to < steps.size() && steps[to].bank >= 0) ++to;
    const size_t stores = to - from;
    const size_t start = world_.steps().size();
    const size_t marks_at_start = marks_applied_;
    // Prefixes: all, or some of a long epoch; the empty one was the last of the epoch before.
    for (size_t count = 0; count <= stores && wrong.empty(); ++count) {
      if (count > 0) {
        world_.apply(steps[from + count - 1]);
        marks_applied_ += marks[from + count - 1];
      } else if (from > 0) {
        continue;
      }
      if (stores > limits_.prefixes && count != 0 && count != 1 && count != stores &&
          random_() % stores >= limits_.prefixes) {
        continue;
      }
      wrong = check_state(depth, side_now(inherited));
      if (!wrong.empty()) {
        wrong += " (after " + std::to_string(from + count) + " of " +
                 std::to_string(steps.size()) + " steps, depth " + std::to_string(depth) + ")";
      }
    }
    if (!wrong.empty()) break;
    // The other subsets.
    if (stores > 1) {
      world_.roll_back_to(start);
      marks_applied_ = marks_at_start;
      wrong = explore_subsets(steps, marks, from, to, depth, inherited);
      for (size_t at = from; at < to; ++at) {
        world_.apply(steps[at]);
        marks_applied_ += marks[at];
      }
    }
    from = to + 1;
  }
  world_.roll_back_to(base);
  marks_applied_ = marks_before;
  return wrong;
}

std::string CrashExplorer::explore_subsets(const std::vector<Step>& steps,
                                           const std::vector<bool>& marks, size_t from, size_t to,
                                           int depth, Side inherited) {
  const size_t start = world_.steps().size();
  const size_t marks_at_start = marks_applied_;
  const size_t stores = to - from;
  const auto check = [&](const std::function<bool(size_t)>& happened) {
    for (size_t at = 0; at < stores; ++at) {
      if (!happened(at)) continue;
      marks_applied_ += marks[from + at];
      world_.apply(steps[from + at]);
    }
    std::string wrong = check_state(depth, side_now(inherited));
    world_.roll_back_to(start);
    marks_applied_ = marks_at_start;
    if (!wrong.empty()) {
      wrong += " (a subset of steps " + std::to_string(from) + " to " + std::to_string(to) +
               " of " + std::to_string(steps.size()) + ", depth " + std::to_string(depth) + ":";
      for (size_t at = 0; at < stores && stores <= 64; ++at) wrong += happened(at) ? " 1" : " 0";
      wrong += ")";
    }
    return wrong;
  };
  std::string wrong;
  if (stores < limits_.all_subsets_below) {
    for (uint64_t subset = 1; subset + 1 < uint64_t{1} << stores && wrong.empty(); ++subset) {
      if ((subset & (subset + 1)) == 0) continue;  // a prefix
      wrong = check([&](size_t at) { return (subset >> at & 1) != 0; });
    }
    return wrong;
  }
  for (size_t count = 0; count < limits_.subsets && wrong.empty(); ++count) {
    const size_t one = random_() % stores;
    wrong = check([&](size_t at) { return at == one; });
    if (wrong.empty()) wrong = check([&](size_t at) { return at != one; });
    // Many, some or few of them, by a hash: the same each time it is asked.
    const uint64_t salt = random_(), share = random_() % 7 + 1;
    if (wrong.empty()) {
      wrong = check([&](size_t at) { return (fold(salt ^ at, kMix[0]) & 7) < share; });
    }
  }
  return wrong;
}

// What a lone process that attaches now makes of the banks.
std::string CrashExplorer::check_state(int depth, Side side) {
  ++states_;
  ++states_at_[depth];
  PhysicalMemory& memory = world_.memory();
  const size_t start = world_.steps().size();
  const uint64_t choice = random_();
  world_.renew_board();
  Findings findings = recover(memory, false);
  std::vector<Step> recovery;
  if (depth < limits_.depth && limits_.recoveries > 0 &&
      (choice >> 32) % limits_.recoveries == 0) {
    recovery.assign(world_.steps().begin() + static_cast<ptrdiff_t>(start), world_.steps().end());
  }
  std::string wrong = judge(side);
  if (wrong.empty() && findings.repaired + findings.lost > 0) {
    wrong = "a crash is reported as damage: " + findings.details[0];
  }
  if (wrong.empty()) {
    // This judges all checksums; what it stores is not to be.
    const size_t stored = world_.steps().size();
    const Findings again = recover(memory, true);
    const bool stores = std::any_of(
        world_.steps().begin() + static_cast<ptrdiff_t>(stored), world_.steps().end(),
        [](const Step& step) { return step.bank >= 0; });
    if (again.repaired + again.lost > 0) {
      wrong = "recovery left damage: " + again.details[0];
    } else if (again.undone + again.redone > 0) {
      wrong = "recovery left a transaction in flight";
    } else if (stores) {
      wrong = "a memory at rest is stored to";
    }
  }
  if (wrong.empty() && memory.board().statistics.repairs + memory.board().statistics.losses > 0) {
    wrong = "recovery counted damage on the board";
  }
  if (wrong.empty() && choice % 4 == 0) {
    wrong = choice % 1024 == 0 ? use_up() : use();
    world_.forget_claims();  // the next board is as fresh
  }
  world_.roll_back_to(start);
  if (!wrong.empty()) return wrong;
  if (!recovery.empty()) {
    wrong = explore_steps(recovery, depth + 1, side);
    if (!wrong.empty()) wrong += " (of its recovery)";
  }
  return wrong;
}

}  // namespace auxin::stm
