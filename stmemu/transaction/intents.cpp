// SPDX-License-Identifier: Apache-2.0
//
// Room for a transaction's list of objects, when it is longer than a descriptor.
#include "stmemu/transaction/hot_path.h"

namespace auxin::stm {

void Activation::take_blocks(std::vector<uint64_t> blocks) {
  blocks_ = std::move(blocks);
  intents_room_ = intents_room(blocks_.size());
}

// One more block of intents for the descriptor: an object that becomes live at once, after the link
// to it. Cut short at any store, it is a link to nothing, or a block without intents; recovery
// knows of it by an intent of its own.
Status Activation::add_block() {
  Place place;
  const Status status = allocator_.find(kIntentBlockBytes, PageUse::kDescriptors, 0,
                                        activity_ | kClaimOnly, &place);
  if (status != Status::kOk) return fail(status, "no room for the transaction's list of objects");
  Banks& banks = memory_.banks();
  ObjectHeader header;
  memcpy(&header, banks.a.at(place.header), sizeof(header));
  header.version += 1;
  header.describe(kIntentBlockBytes, ObjectKind::kIntents, ObjectState::kLive);
  header.checksum =
      object_checksum(memory_.seed(), place.generation, place.header, header, nullptr);
  store_intent(memory_, intent_offset(descriptor_, blocks_, intents_), serial_,
               {place.header, Intent::kBlock});
  ++intents_;
  format_intent_block(memory_, place.contents, descriptor_);
  banks.fence();
  store_link(memory_, blocks_.empty() ? link_of_descriptor(descriptor_)
                                      : link_of_block(blocks_.back()), place.header);
  banks.fence();
  store_header(banks.a, place, header);
  banks.fence();
  store_header(banks.b, place, header);
  banks.fence();
  release_claim(place.header);
  blocks_.push_back(place.contents);
  intents_room_ = intents_room(blocks_.size());
  return Status::kOk;
}

}  // namespace auxin::stm
