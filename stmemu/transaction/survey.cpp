// SPDX-License-Identifier: Apache-2.0
#include "stmemu/transaction/survey.h"

#include <time.h>

#include <algorithm>
#include <set>

#include "stmemu/memory/page_table.h"
#include "stmemu/transaction/descriptor.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

constexpr int kLooks = 5;  // before a difference in a memory that is in use is called damage
constexpr long kBetweenLooks_ns = 2'000'000;

void pause_between_looks() {
  const timespec pause = {0, kBetweenLooks_ns};
  nanosleep(&pause, nullptr);
}

// Bank B has what was committed last; while it is being copied there, or is damaged, A has it.
bool read_catalogue(const PhysicalMemory& memory, uint64_t address, Catalogue* catalogue) {
  Place place;
  if (!locate(memory, address, &place)) return false;
  for (const Bank* bank : {&memory.banks().b, &memory.banks().a}) {
    ObjectHeader header;
    memcpy(&header, bank->at(place.header), sizeof(header));
    if (!header.live() || header.kind() != ObjectKind::kCatalogue ||
        header.size_bytes() != sizeof(*catalogue) || header.size_bytes() > place.capacity) {
      continue;
    }
    memcpy(catalogue, bank->at(address), sizeof(*catalogue));
    if (header.checksum == object_checksum(memory.seed(), place.generation, place.header, header,
                                           reinterpret_cast<const char*>(catalogue))) {
      return true;
    }
  }
  return false;
}

class Surveyor {
 public:
  Surveyor(PhysicalMemory& memory, const std::function<void(const ObjectSurvey&)>& each)
      : memory_(memory), each_(each) {}

  Survey make() {
    judge_superblocks();
    judge_heads();
    look_at_descriptors();
    PageTable(memory_).walk([this](uint64_t page, const PageHead& head) {
      const PageUse use = static_cast<PageUse>(head.use);
      if (use != PageUse::kObjects && use != PageUse::kDescriptors) return true;
      for (uint32_t slot = 0; slot < memory_.classes().slots(head.size_class); ++slot) {
        look_at_object(place_in_run(memory_, page, head, slot));
      }
      return true;
    });
    return std::move(survey_);
  }

 private:
  void damaged(bool both, const std::string& what) {
    ++(both ? survey_.lost : survey_.damaged);
    if (survey_.damage.size() < Findings::kMaxDetails) survey_.damage.push_back(what);
  }

  void judge_superblocks() {
    for (const int bank : {0, 1}) {
      if (memory_.identity().good[bank]) continue;
      damaged(false, std::string("the superblock of bank ") + (bank == 0 ? "A" : "B") +
                         " is damaged");
    }
  }

  void judge_heads() {
    uint64_t lost = 0, first_lost = 0;
    for (uint64_t page = 0; page < memory_.pages();) {
      PageHead head;
      if (!read_head(memory_, page, &head)) {
        if (lost++ == 0) first_lost = page;
        ++page;
        continue;
      }
      for (const Bank* bank : {&memory_.banks().a, &memory_.banks().b}) {
        if (memcmp(bank->at(head_offset(page)), &head, sizeof(head)) == 0 ||
            is_overtaken_head(memory_, *bank, page)) {
          continue;
        }
        if (memory_.in_use() && settles([&] {
              PageHead now;
              return read_head(memory_, page, &now) &&
                     memcmp(bank->at(head_offset(page)), &now, sizeof(now)) == 0;
            })) {
          continue;
        }
        damaged(false, "the head of page " + std::to_string(page) + " is damaged in bank " +
                           (bank->number() == 0 ? "A" : "B"));
      }
      if (static_cast<PageUse>(head.use) == PageUse::kFree) {
        survey_.free_pages += head.pages;
        survey_.largest_free_run = std::max<uint64_t>(survey_.largest_free_run, head.pages);
      }
      page += head.pages;
    }
    if (lost > 0) {
      damaged(true, "page " + std::to_string(first_lost) + " and " + std::to_string(lost - 1) +
                        " more: both copies of the head of their run are damaged");
    }
  }

  // In a memory that is in use, what is being written looks damaged for a moment.
  template <typename Condition>
  bool settles(Condition condition) const {
    for (int look = 0; look < kLooks; ++look) {
      if (condition()) return true;
      pause_between_looks();
    }
    return condition();
  }

  void look_at_descriptor(uint64_t descriptor) {
    DescriptorState state;
    if (!read_state(memory_, descriptor, &state)) {
      damaged(true, "transaction descriptor " + std::to_string(descriptor) +
                        ": both copies of its state are damaged");
      return;
    }
    for (const Bank* bank : {&memory_.banks().a, &memory_.banks().b}) {
      DescriptorState copy;
      if (unpack_state(memory_.seed(), descriptor, bank->word(descriptor), &copy)) continue;
      damaged(false, "the state of transaction descriptor " + std::to_string(descriptor) +
                         " is damaged in bank " + (bank->number() == 0 ? "A" : "B"));
    }
    uint64_t objects = 0;
    read_intents(memory_, descriptor, state.serial, [&](const Intent& intent) {
      ++objects;
      in_flight_.insert(intent.header);
    });
    survey_.in_flight += objects > 0;
    if (objects > 0 || memory_.in_use()) return;
    const uint64_t differing = differing_words(memory_, descriptor);
    if (differing > 0) {
      damaged(false, std::to_string(differing) + " words of transaction descriptor " +
                         std::to_string(descriptor) + " differ between the banks");
    }
  }

  void look_at_descriptors() {
    look_at_descriptor(kBootDescriptorOffset);
    PageTable(memory_).walk([this](uint64_t page, const PageHead& head) {
      if (static_cast<PageUse>(head.use) != PageUse::kDescriptors) return true;
      for (uint32_t slot = 0; slot < memory_.classes().slots(head.size_class); ++slot) {
        const Place place = place_in_run(memory_, page, head, slot);
        ObjectHeader header;
        if (better_copy(place, &header) && header.live() &&
            header.kind() == ObjectKind::kDescriptor) {
          ++survey_.descriptors;
          look_at_descriptor(place.contents);
        }
      }
      return true;
    });
  }

  bool better_copy(const Place& place, ObjectHeader* header) const {
    ObjectHeader a, b;
    const bool good_a = good_copy(memory_, memory_.banks().a, place, &a);
    const bool good_b = good_copy(memory_, memory_.banks().b, place, &b);
    if (good_a && (!good_b || a.version >= b.version)) {
      *header = a;
    } else if (good_b) {
      *header = b;
    }
    return good_a || good_b;
  }

  bool both_equal(const Place& place) const {
    ObjectHeader header;
    return good_copy(memory_, memory_.banks().a, place, &header) &&
           memcmp(&header, memory_.banks().b.at(place.header), sizeof(header)) == 0 &&
           (!contents_count(header) ||
            memcmp(memory_.banks().a.at(place.contents), memory_.banks().b.at(place.contents),
                   whole_words(header.size_bytes())) == 0);
  }

  // Whether somebody has it in hand: by its owner word, or by an intent.
  bool in_hand(const Place& place) const {
    if (in_flight_.count(place.header) != 0) return true;
    if (!memory_.in_use()) return false;
    const uint64_t owner = memory_.owner_word(place.header).load(std::memory_order_acquire);
    const uint32_t context = OwnerWord::context_of(owner);
    return owner != 0 && context < kContexts &&
           memory_.board().contexts[context].active.load(std::memory_order_acquire) ==
               OwnerWord::activity_of(owner);
  }

  void look_at_object(const Place& place) {
    ObjectSurvey object = {place, {}, Verdict::kSound};
    if (!both_equal(place)) {
      const bool fine = memory_.in_use() && settles([&] { return both_equal(place); });
      const bool found = better_copy(place, &object.header);
      if (!fine && in_hand(place)) {
        object.verdict = Verdict::kInFlight;
        ++survey_.in_flight_objects;
      } else if (!fine) {
        object.verdict = found ? Verdict::kOneBad : Verdict::kLost;
        damaged(!found, name_of_object(place, found ? &object.header : nullptr) +
                            (found ? ": one of its two copies is damaged"
                                   : ": both of its copies are damaged"));
      }
    } else {
      better_copy(place, &object.header);
    }
    if (object.header.live()) {
      if (object.header.kind() == ObjectKind::kUser) {
        ++survey_.objects;
        survey_.object_bytes += object.header.size_bytes();
      } else if (object.header.kind() != ObjectKind::kDescriptor) {
        ++survey_.own_objects;
      }
    }
    const bool told = object.header.live() || object.verdict == Verdict::kOneBad ||
                      object.verdict == Verdict::kLost;
    if (told && each_) each_(object);
  }

  PhysicalMemory& memory_;
  const std::function<void(const ObjectSurvey&)>& each_;
  Survey survey_;
  std::set<uint64_t> in_flight_;  // headers named by intents of transactions in flight
};

}  // namespace

Survey survey(PhysicalMemory& memory, const std::function<void(const ObjectSurvey&)>& each) {
  return Surveyor(memory, each).make();
}

std::vector<NamedReference> catalogue_entries(PhysicalMemory& memory) {
  std::vector<NamedReference> found;
  constexpr int kMaxBlocks = 1'000'000;
  uint64_t block = memory.superblock().catalogue;
  for (int blocks = 0; block != 0 && blocks < kMaxBlocks; ++blocks) {
    Catalogue catalogue;
    int look = 0;
    while (!read_catalogue(memory, block, &catalogue)) {
      if (!memory.in_use() || ++look > kLooks) return found;
      pause_between_looks();
    }
    for (const CatalogueEntry& entry : catalogue.entries) {
      if (entry.name[0] == '\0') continue;
      found.push_back({std::string(entry.name, strnlen(entry.name, sizeof(entry.name))),
                       entry.object, entry.space});
    }
    block = catalogue.next;
  }
  return found;
}

}  // namespace auxin::stm
