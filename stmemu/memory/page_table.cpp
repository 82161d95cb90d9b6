// SPDX-License-Identifier: Apache-2.0
#include "stmemu/memory/page_table.h"

#include <algorithm>

#include "stmemu/check.h"
#include "stmemu/memory/realm.h"

namespace auxin::stm {
namespace {

// A head of a bank, if its copy is good.
bool good_head(const PhysicalMemory& memory, const Bank& bank, uint64_t page, PageHead* head) {
  memcpy(head, bank.at(head_offset(page)), sizeof(*head));
  return head->checksum == head_checksum(memory.seed(), page, *head) && head->pages > 0 &&
         head->pages <= memory.pages() - page;
}

// Stands for the checksum while a copy is being written, so that a crash there isn't taken for
// damage.
uint64_t unfinished(const PhysicalMemory& memory, uint64_t page) {
  return fold(memory.seed() ^ kMix[6], page ^ kMix[7]);
}

void store_copy(PhysicalMemory& memory, Bank& bank, uint64_t page, const PageHead& head) {
  constexpr uint64_t kRest = sizeof(head.checksum);
  Banks& banks = memory.banks();
  bank.store_word(head_offset(page), unfinished(memory, page));
  banks.fence();
  bank.store(head_offset(page) + kRest, &head.version, sizeof(head) - kRest);
  banks.fence();
  bank.store_word(head_offset(page), head.checksum);
  banks.fence();
}

bool use_is_known(const PageHead& head, const SizeClasses& classes) {
  switch (static_cast<PageUse>(head.use)) {
    case PageUse::kFree:
    case PageUse::kMeta:
    case PageUse::kPlain:
      return true;
    case PageUse::kObjects:
    case PageUse::kDescriptors:
      return head.size_class == kLargeClass ||
             (head.size_class < classes.count() &&
              classes.shape(head.size_class).pages == head.pages);
  }
  return false;
}

}  // namespace

// Held around every change of a head. If its last owner died in a change, the table is mended
// before anything else happens to it.
class PageTable::Lock {
 public:
  explicit Lock(PageTable& table) : lock_(table.memory_.board().page_lock) {
    const RobustLock::Taken taken = lock_.lock(plain_mutex_calls());
    CHECK(taken == RobustLock::Taken::kClean || taken == RobustLock::Taken::kOwnerDied,
          "the page lock can be taken");
    if (taken == RobustLock::Taken::kOwnerDied) table.rebuild();
  }
  ~Lock() { lock_.unlock(plain_mutex_calls()); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  RobustLock& lock_;
};

bool is_overtaken_head(const PhysicalMemory& memory, const Bank& bank, uint64_t page) {
  PageHead head;
  return good_head(memory, bank, page, &head) ||
         bank.word(head_offset(page)) == unfinished(memory, page);
}

bool read_head(const PhysicalMemory& memory, uint64_t page, PageHead* head) {
  PageHead a, b;
  const bool good_a = good_head(memory, memory.banks().a, page, &a);
  const bool good_b = good_head(memory, memory.banks().b, page, &b);
  if (!good_a && !good_b) return false;
  *head = good_a && (!good_b || a.version >= b.version) ? a : b;
  return use_is_known(*head, memory.classes());
}

bool sound_head(PhysicalMemory& memory, uint64_t page, PageHead* head, bool* repaired) {
  *repaired = false;
  if (!read_head(memory, page, head)) return false;
  Banks& banks = memory.banks();
  for (Bank* bank : {&banks.a, &banks.b}) {
    if (memcmp(bank->at(head_offset(page)), head, sizeof(*head)) == 0) continue;
    *repaired |= !is_overtaken_head(memory, *bank, page);
    store_copy(memory, *bank, page, *head);
  }
  return true;
}

void store_head(PhysicalMemory& memory, uint64_t page, PageHead head) {
  head.checksum = head_checksum(memory.seed(), page, head);
  Banks& banks = memory.banks();
  banks.fence();  // what the head makes reachable is there before it
  store_copy(memory, banks.a, page, head);
  store_copy(memory, banks.b, page, head);
}

void PageTable::describe(uint64_t page, const PageHead& head) {
  const bool holds_objects = static_cast<PageUse>(head.use) == PageUse::kObjects ||
                             static_cast<PageUse>(head.use) == PageUse::kDescriptors;
  const uint64_t said = page | static_cast<uint64_t>(head.size_class) << 32 |
                        static_cast<uint64_t>(head.use) << 40;
  for (uint64_t at = page; at < page + head.pages; ++at) {
    PageInfo& info = memory_.page_info(at);
    // A reader takes the generation first: it finds a run as it was or as it is, or a mixture whose
    // headers do not check.
    info.generation.store(holds_objects ? head.version : 0, std::memory_order_release);
    info.realm.store(head.owner, std::memory_order_release);
    info.head_and_class.store(said, std::memory_order_release);
  }
}

void PageTable::format() {
  const uint64_t meta = meta_pages(memory_.bank_bytes());
  PageHead rest = {};
  rest.version = 1;
  rest.pages = static_cast<uint32_t>(memory_.pages() - meta);
  store_head(memory_, meta, rest);
  PageHead first = {};
  first.version = 1;
  first.pages = static_cast<uint32_t>(meta);
  first.use = static_cast<uint8_t>(PageUse::kMeta);
  store_head(memory_, 0, first);
}

PageTable::Walked PageTable::rebuild() {
  Walked walked;
  for (uint64_t page = 0; page < memory_.pages();) {
    PageHead head;
    bool repaired;
    if (!sound_head(memory_, page, &head, &repaired)) {
      if (walked.lost_pages++ == 0) walked.first_lost_page = page;
      PageHead unused = {};
      unused.pages = 1;
      unused.use = static_cast<uint8_t>(PageUse::kPlain);
      describe(page++, unused);
      continue;
    }
    walked.repaired += repaired;
    describe(page, head);
    page += head.pages;
  }
  return walked;
}

void PageTable::describe_all() {
  walk([this](uint64_t page, const PageHead& head) {
    describe(page, head);
    return true;
  });
}

void PageTable::walk(const std::function<bool(uint64_t, const PageHead&)>& each) const {
  for (uint64_t page = 0; page < memory_.pages();) {
    PageHead head;
    if (!read_head(memory_, page, &head)) {
      ++page;
      continue;
    }
    if (!each(page, head)) return;
    page += head.pages;
  }
}

uint64_t PageTable::find_free(uint64_t pages) {
  uint64_t found = 0;
  walk([&](uint64_t page, const PageHead& head) {
    if (static_cast<PageUse>(head.use) != PageUse::kFree || head.pages < pages) return true;
    found = page;
    return false;
  });
  return found;
}

void PageTable::format_headers(uint64_t page, const PageHead& head) {
  const uint32_t slots = memory_.classes().slots(head.size_class);
  for (uint32_t slot = 0; slot < slots; ++slot) {
    const uint64_t offset = page * kPageBytes + slot * sizeof(ObjectHeader);
    ObjectHeader header = {};
    header.describe(0, ObjectKind::kUser, ObjectState::kFree);
    header.checksum = object_checksum(memory_.seed(), head.version, offset, header, nullptr);
    memory_.banks().a.store(offset, &header, sizeof(header));
    memory_.banks().b.store(offset, &header, sizeof(header));
    memory_.owner_word(offset).store(0, std::memory_order_relaxed);
  }
}

uint64_t PageTable::make_run(PageUse use, uint8_t size_class, uint64_t pages, uint64_t owner) {
  Lock lock(*this);
  MemoryObjectRecord record;
  if (owner != 0 && (!realm_lives(memory_, owner, &record) ||
                     pages_of(owner) + pages > record.quota_pages)) {
    return 0;
  }
  const uint64_t page = find_free(pages);
  const uint64_t headers =
      use == PageUse::kPlain ? 0 : memory_.classes().slots(size_class) * sizeof(ObjectHeader);
  if (page == 0 || !memory_.reserve(page * kPageBytes, pages * kPageBytes, headers)) return 0;
  PageHead head;
  CHECK(read_head(memory_, page, &head), "a run that was found has a head");
  const uint64_t left = head.pages - pages;
  if (left > 0) {
    PageHead rear = {};
    rear.version = head.version + 1;
    rear.pages = static_cast<uint32_t>(left);
    store_head(memory_, page + pages, rear);
    describe(page + pages, rear);
  }
  head.version += 1;
  head.pages = static_cast<uint32_t>(pages);
  head.use = static_cast<uint8_t>(use);
  head.size_class = size_class;
  head.owner = owner;
  if (use != PageUse::kPlain) format_headers(page, head);
  store_head(memory_, page, head);
  describe(page, head);
  return page;
}

void PageTable::dissolve_run(uint64_t page) {
  Lock lock(*this);
  PageHead head;
  CHECK(read_head(memory_, page, &head), "a run that is given back has a head");
  const PageHead was = head;
  uint64_t absorbed = 0;
  PageHead next;
  const uint64_t behind = page + head.pages;
  if (behind < memory_.pages() && read_head(memory_, behind, &next) &&
      static_cast<PageUse>(next.use) == PageUse::kFree) {
    head.pages += next.pages;
    head.version = std::max(head.version, next.version);
    absorbed = behind;
  }
  // The neighbour in front, if it is free, takes this run in: again one head.
  uint64_t first = page;
  const uint64_t info = memory_.page_info(page - 1).head_and_class.load(std::memory_order_acquire);
  PageHead front;
  if (static_cast<PageUse>(info >> 40) == PageUse::kFree &&
      read_head(memory_, info & 0xffff'ffff, &front) &&
      static_cast<PageUse>(front.use) == PageUse::kFree &&
      (info & 0xffff'ffff) + front.pages == page) {
    first = info & 0xffff'ffff;
    head.pages += front.pages;
    head.version = std::max(head.version, front.version);
  }
  head.version += 1;
  head.use = static_cast<uint8_t>(PageUse::kFree);
  head.size_class = 0;
  head.owner = 0;
  // From here on nobody finds objects in it.
  PageHead unused = was;
  unused.use = static_cast<uint8_t>(PageUse::kFree);
  describe(page, unused);
  store_head(memory_, first, head);
  describe(first, head);
  // Heads inside a run mean nothing; erased, they can't be taken for one after damage.
  const PageHead none = {};
  for (const uint64_t inside : {first != page ? page : 0, absorbed}) {
    if (inside == 0) continue;
    memory_.banks().a.store(head_offset(inside), &none, sizeof(none));
    memory_.banks().b.store(head_offset(inside), &none, sizeof(none));
  }
}

uint64_t PageTable::pages_of(uint64_t owner) const {
  uint64_t pages = 0;
  walk([&](uint64_t, const PageHead& head) {
    if (static_cast<PageUse>(head.use) == PageUse::kObjects && head.owner == owner) {
      pages += head.pages;
    }
    return true;
  });
  return pages;
}

uint64_t PageTable::free_pages() const {
  uint64_t pages = 0;
  walk([&](uint64_t, const PageHead& head) {
    if (static_cast<PageUse>(head.use) == PageUse::kFree) pages += head.pages;
    return true;
  });
  return pages;
}

uint64_t PageTable::largest_free_run() const {
  uint64_t pages = 0;
  walk([&](uint64_t, const PageHead& head) {
    if (static_cast<PageUse>(head.use) == PageUse::kFree) {
      pages = std::max<uint64_t>(pages, head.pages);
    }
    return true;
  });
  return pages;
}

}  // namespace auxin::stm
