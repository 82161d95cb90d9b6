// SPDX-License-Identifier: Apache-2.0
//
// New objects, and objects that go: changes of their headers, like any other.
#include <algorithm>

#include "stmemu/transaction/hot_path.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {

Status Activation::allocate(uint64_t size_bytes, ObjectKind kind, uint32_t type,
                            uint64_t* address) {
  if (!active_) return not_active();
  if (size_bytes == 0) return fail(Status::kEmpty, "an object of size 0 can't be made");
  const bool descriptor = kind == ObjectKind::kDescriptor;
  Place place;
  const Status found =
      allocator_.find(size_bytes, descriptor ? PageUse::kDescriptors : PageUse::kObjects,
                      descriptor || system_ ? 0 : realm_, activity_ | touched_.size(), &place);
  if (found != Status::kOk) {
    return fail(found, std::to_string(size_bytes) + " bytes: " +
                           (found == Status::kTooLarge ? "larger than the memory can hold"
                            : allocator_.over_quota()  ? "the memory object's quota of pages is "
                                                         "used up"
                                                       : "the memory is full"));
  }
  ObjectHeader header;
  memcpy(&header, memory_.banks().a.at(place.header), sizeof(header));
  Touched& touched = add_to_list(place);
  touched.becomes = header;
  const Status intended = intend(memory_.banks(), touched, Intent::kAllocate);
  if (intended != Status::kOk) {
    touched_.pop_back();
    release_claim(place.header);
    return intended;
  }
  touched.allocated = touched.open = true;
  touched.becomes.describe(size_bytes, kind, ObjectState::kLive);
  touched.becomes.type_and_life =
      type | static_cast<uint64_t>(static_cast<uint16_t>(header.life() + 1)) << 32;
  if (descriptor) {
    if (remote_ == nullptr) format_descriptor(memory_, place.contents);
  } else if (remote_ != nullptr) {
    memset(memory_.view() + place.contents, 0, whole_words(size_bytes));
  } else {
    static constexpr char kZeros[kPageBytes] = {};
    const uint64_t whole = whole_words(size_bytes);
    for (uint64_t at = 0; at < whole; at += kPageBytes) {
      memory_.banks().a.store(place.contents + at, kZeros, std::min(kPageBytes, whole - at));
    }
    show(touched, OpenFor::kChanging);
  }
  *address = place.contents;
  return Status::kOk;
}

Status Activation::free(uint64_t address) {
  if (!active_) return not_active();
  Place place;
  if (locate(memory_, address, &place) && place.use == PageUse::kDescriptors) {
    // Recovery finds a transaction by its descriptor, so it can't be gone at the commit itself.
    if (address == descriptor_) {
      return fail_at(Status::kConflict, address, "the transaction runs on it");
    }
    ObjectHeader header;
    if ((good_copy(memory_, memory_.banks().a, place, &header) ||
         good_copy(memory_, memory_.banks().b, place, &header)) &&
        header.live() &&
        (header.kind() != ObjectKind::kDescriptor || header.type() == kOwnDescriptorType)) {
      return fail_at(Status::kForeign, address, "one of the memory's own objects");
    }
    return free_descriptor(place);
  }
  Touched* touched = nullptr;
  const Status status = find_open(address, OpenFor::kChanging, "freed", &touched);
  if (status != Status::kOk) return status;
  touched->freed = frees_ = true;
  touched->open = false;
  hide(*touched);
  return Status::kOk;
}

// Descriptors and their blocks are never open: freeing one claims it.
Status Activation::free_descriptor(const Place& place) {
  const uint64_t address = place.contents;
  Touched* touched = nullptr;
  Status status = open_to_free(place, &touched);
  if (status != Status::kOk) return status;
  touched->freed = frees_ = true;
  touched->open = false;
  if (touched->becomes.kind() != ObjectKind::kDescriptor) return Status::kOk;
  for (const uint64_t block : read_blocks(memory_, address)) {
    Place of_block;
    if (!locate(memory_, block, &of_block)) continue;
    status = free_descriptor(of_block);
    if (status != Status::kOk) return status;
  }
  return Status::kOk;
}

}  // namespace auxin::stm
