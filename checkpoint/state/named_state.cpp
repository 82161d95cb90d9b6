// SPDX-License-Identifier: Apache-2.0
//
// The named parts, and what is tracked of them. Two regions may share a page where one ends and the
// other begins: the page is tracked once and told to both.
#include "checkpoint/state/named_state.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "checkpoint/detection/memory_access.h"

namespace auxin::checkpoint {
namespace {

Outcome unknown(uint64_t id) {
  return failure(AUXIN_CHECKPOINT_UNKNOWN, "no region is called " + std::to_string(id));
}

Outcome no_memory() { return failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory for a region"); }

uint64_t as_number(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

}  // namespace

Expected<std::unique_ptr<NamedState>> NamedState::create(const StateOptions& options) {
  std::unique_ptr<NamedState> state(new NamedState(options));
  if (Outcome outcome = state->open(); !outcome) return outcome;
  return state;
}

NamedState::~NamedState() = default;

Outcome NamedState::open() {
  TrackingMethod wanted = options_.method;
  const char* from_environment = std::getenv("AUXIN_CHECKPOINT_METHOD");
  if (wanted == TrackingMethod::kAutomatic && from_environment != nullptr &&
      !method_of_name(from_environment, &wanted)) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, std::string("AUXIN_CHECKPOINT_METHOD: no method "
                                                            "is called ") +
                                                    from_environment);
  }
  choice_ = choose_method(wanted);
  if (!choice_.available) {
    return failure(AUXIN_CHECKPOINT_UNAVAILABLE, std::string("method ") +
                                                     name_of(choice_.method) + ": " +
                                                     choice_.reason);
  }
  TrackerOptions tracking;
  tracking.method = choice_.method;
  tracking.adaptive = options_.adaptive;
  if (tracker_.open(tracking) != TrackingStatus::kOk || !staging_.make_room(0, forks()) ||
      (forks() && !child_.open())) {
    return failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory to track pages");
  }
  while (position_.state == 0) {
    if (getrandom(&position_.state, sizeof(position_.state), 0) < 0) position_.state = 1;
  }
  tables_digest_ = digest_of_tables();
  return Outcome::ok();
}

Outcome NamedState::refuse_if_busy() const {
  if (!captured_) return Outcome::ok();
  return failure(AUXIN_CHECKPOINT_BUSY, "a capture waits for its message");
}

uint64_t NamedState::named_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [id, region] : regions_) bytes += region->size_bytes;
  return bytes;
}

Outcome NamedState::check_room(uint64_t id, uint64_t address, uint64_t size_bytes) const {
  if (size_bytes == 0 || address == 0 || address + size_bytes < address) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, "an empty or impossible range");
  }
  for (const NamedRegion* region : by_address_) {
    if (region->id != id && region->address < address + size_bytes && address < region->end()) {
      return failure(AUXIN_CHECKPOINT_OVERLAP,
                     "the range overlaps region " + std::to_string(region->id));
    }
  }
  return Outcome::ok();
}

void NamedState::sort_by_address() {
  by_address_.clear();
  for (const auto& [id, region] : regions_) by_address_.push_back(region.get());
  std::sort(by_address_.begin(), by_address_.end(),
            [](const NamedRegion* a, const NamedRegion* b) { return a->address < b->address; });
}

bool NamedState::page_is_shared(const NamedRegion& region, uint64_t page) const {
  return std::any_of(by_address_.begin(), by_address_.end(), [&](const NamedRegion* other) {
    return other != &region && other->first_page() <= page && page < other->page_end();
  });
}

// A page that another region tracks already is tracked anew, so that it is told to both.
Outcome NamedState::track(const NamedRegion& region) {
  const uint64_t last_page = region.page_end() - kPageBytes;
  for (const uint64_t page : {region.first_page(), last_page}) {
    if (!page_is_shared(region, page)) continue;
    if (tracker_.drop(page, page + kPageBytes) != TrackingStatus::kOk) return no_memory();
  }
  if (tracker_.add(region.first_page(), region.page_end()) != TrackingStatus::kOk) {
    return failure(AUXIN_CHECKPOINT_NO_MEMORY, "too many ranges to track");
  }
  return Outcome::ok();
}

void NamedState::untrack(const NamedRegion& region) {
  static_cast<void>(tracker_.drop(region.first_page(), region.page_end()));
  const uint64_t last_page = region.page_end() - kPageBytes;
  if (page_is_shared(region, last_page)) {
    static_cast<void>(tracker_.add(last_page, last_page + kPageBytes));
  }
  if (last_page != region.first_page() && page_is_shared(region, region.first_page())) {
    static_cast<void>(tracker_.add(region.first_page(), region.first_page() + kPageBytes));
  }
}

bool NamedState::make_room() {
  uint64_t pages = staging_.used();  // perhaps of regions that are no more
  for (const auto& [id, region] : regions_) pages += region->page_count();
  return staging_.make_room(pages, forks());
}

Outcome NamedState::add_range(uint64_t id, void* address, uint64_t size_bytes) {
  const Call call(*this);
  if (!call.outcome) return call.outcome;
  if (Outcome outcome = refuse_if_busy(); !outcome) return outcome;
  if (regions_.count(id) != 0 || object_of_id_.count(id) != 0) {
    return failure(AUXIN_CHECKPOINT_OVERLAP,
                   "a region is called " + std::to_string(id) + " already");
  }
  if (Outcome outcome = check_room(id, as_number(address), size_bytes); !outcome) return outcome;
  auto region = std::make_unique<NamedRegion>();
  region->id = id;
  region->address = as_number(address);
  region->size_bytes = size_bytes;
  const uint64_t pages = region->page_count();
  if (!region->slots.resize(pages, forks()) ||
      (compares() && !region->digests.resize(pages, forks()))) {
    return no_memory();
  }
  NamedRegion& added = *regions_.emplace(id, std::move(region)).first->second;
  sort_by_address();
  Outcome outcome = make_room() ? track(added) : no_memory();
  if (!outcome) {
    regions_.erase(id);
    sort_by_address();
  }
  return outcome;
}

Outcome NamedState::add_object(uint64_t id, void* object, uint64_t size_bytes, uint8_t** mark) {
  const Call call(*this);
  if (!call.outcome) return call.outcome;
  if (Outcome outcome = refuse_if_busy(); !outcome) return outcome;
  if (regions_.count(id) != 0 || object_of_id_.count(id) != 0) {
    return failure(AUXIN_CHECKPOINT_OVERLAP,
                   "a region is called " + std::to_string(id) + " already");
  }
  if (object == nullptr || size_bytes == 0) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, "an empty object");
  }
  uint32_t index = 0;
  *mark = objects_.add(id, as_number(object), size_bytes, &index);
  if (*mark == nullptr) return no_memory();
  object_of_id_[id] = index;
  return Outcome::ok();
}

Outcome NamedState::remove(uint64_t id) {
  const Call call(*this);
  if (!call.outcome) return call.outcome;
  if (Outcome outcome = refuse_if_busy(); !outcome) return outcome;
  if (const auto object = object_of_id_.find(id); object != object_of_id_.end()) {
    if (objects_[object->second].announced) removed_.insert(id);
    objects_.remove(object->second);
    object_of_id_.erase(object);
    return Outcome::ok();
  }
  const auto found = regions_.find(id);
  if (found == regions_.end()) return unknown(id);
  if (found->second->announced) removed_.insert(id);
  untrack(*found->second);
  regions_.erase(found);
  sort_by_address();
  return Outcome::ok();
}

// What stays where it was keeps its pages; the last page of before is told again, for more or less
// of it belongs to the region now.
Outcome NamedState::resize(uint64_t id, void* address, uint64_t size_bytes) {
  const Call call(*this);
  if (!call.outcome) return call.outcome;
  if (Outcome outcome = refuse_if_busy(); !outcome) return outcome;
  const auto found = regions_.find(id);
  if (found == regions_.end()) return unknown(id);
  if (Outcome outcome = check_room(id, as_number(address), size_bytes); !outcome) return outcome;
  NamedRegion& region = *found->second;
  if (region.address != as_number(address)) {
    if (Outcome outcome = remove(id); !outcome) return outcome;
    return add_range(id, address, size_bytes);
  }
  const uint64_t end_before = region.page_end(), pages_before = region.page_count();
  const uint64_t bytes_before = region.size_bytes;
  region.size_bytes = size_bytes;
  const uint64_t pages = region.page_count();
  if (!region.slots.resize(pages, forks()) ||
      (compares() && !region.digests.resize(pages, forks())) || !make_room()) {
    region.size_bytes = bytes_before;
    return no_memory();
  }
  if (compares()) region.digests[std::min(pages, pages_before) - 1] = {};
  const uint64_t told_again = std::min(region.page_end(), end_before) - kPageBytes;
  if (tracker_.drop(told_again, std::max(region.page_end(), end_before)) !=
          TrackingStatus::kOk ||
      tracker_.add(told_again, region.page_end()) != TrackingStatus::kOk) {
    return no_memory();
  }
  const uint64_t last_before = end_before - kPageBytes;
  if (last_before >= region.page_end() && page_is_shared(region, last_before)) {
    static_cast<void>(tracker_.add(last_before, end_before));
  }
  return Outcome::ok();
}

// Carefully: it is looked first whether all of it is there, so that nothing is written by halves.
Outcome NamedState::write_regions(const Image& image) {
  struct Part {
    uint64_t id, address, size_bytes;
  };
  std::vector<Part> parts;
  for (const auto& [id, region] : regions_) {
    parts.push_back({id, region->address, region->size_bytes});
  }
  for (const auto& [id, index] : object_of_id_) {
    parts.push_back({id, objects_[index].address, objects_[index].size_bytes});
  }
  for (const Part& part : parts) {
    if (options_.read_carefully && !can_read(part.address, part.size_bytes)) {
      return unreadable(part.address);
    }
  }
  for (const Part& part : parts) {
    const uint8_t* bytes = image.region(part.id)->bytes.data();
    if (!options_.read_carefully) {
      std::memcpy(reinterpret_cast<void*>(part.address), bytes, part.size_bytes);
    } else if (!write_memory(part.address, bytes, part.size_bytes)) {
      return unreadable(part.address);
    }
  }
  return Outcome::ok();
}

Outcome NamedState::restore(const Image& image) {
  const Call call(*this);
  if (!call.outcome) return call.outcome;
  if (Outcome outcome = refuse_if_busy(); !outcome) return outcome;
  if (image.position().sequence == 0) return failure(AUXIN_CHECKPOINT_EMPTY, "an empty image");
  const auto fits = [&](uint64_t id, uint64_t size_bytes) -> Outcome {
    const Image::Region* region = image.region(id);
    if (region == nullptr) {
      return failure(AUXIN_CHECKPOINT_UNKNOWN, "the image has no region " + std::to_string(id));
    }
    if (region->bytes.size() == size_bytes) return Outcome::ok();
    return failure(AUXIN_CHECKPOINT_SIZE,
                   "region " + std::to_string(id) + " has " +
                       std::to_string(region->bytes.size()) + " bytes in the image, " +
                       std::to_string(size_bytes) + " here");
  };
  for (const auto& [id, region] : regions_) {
    if (Outcome outcome = fits(id, region->size_bytes); !outcome) return outcome;
  }
  for (const auto& [id, index] : object_of_id_) {
    if (Outcome outcome = fits(id, objects_[index].size_bytes); !outcome) return outcome;
  }
  for (const auto& [id, region] : image.regions()) {
    if (regions_.count(id) == 0 && object_of_id_.count(id) == 0) return unknown(id);
  }
  if (Outcome outcome = write_regions(image); !outcome) return outcome;
  for (const auto& [id, region] : regions_) {
    region->announced = true;
    region->announced_bytes = region->size_bytes;
  }
  for (const auto& [id, index] : object_of_id_) objects_[index].announced = true;
  position_ = image.position();
  user_word_ = image.user_word();
  removed_.clear();
  clear_staged();
  // From here on what differs from the image is what is stored from here on.
  note_digests();
  whole_ = false;
  static_cast<void>(objects_.collect());
  for (uint32_t i = 0; i < objects_.count(); ++i) objects_[i].staged = false;
  tracker_.begin_anew();
  tracker_.look({nullptr, [](void*, const PageRun&) {}});
  return Outcome::ok();
}

}  // namespace auxin::checkpoint
