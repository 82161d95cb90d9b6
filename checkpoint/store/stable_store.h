// SPDX-License-Identifier: Apache-2.0
//
// Messages in a stable memory (stmemu/), under a name: one stable object lists them, each is an
// object of its own. Every put is one transaction: kept wholly or not at all, whoever dies.
//
// A list has room for 64 messages; a put that finds it full puts one base in their place. Old and
// new base are in the memory at once for that moment.
//
// One process at a time should put; two that do see each other's, and judge by it.
#pragma once

#include <memory>
#include <string>

#include "auxin/stm.h"
#include "checkpoint/message/chain.h"
#include "checkpoint/store/message_store.h"

namespace auxin::checkpoint {

class StableStore : public MessageStore {
 public:
  // The memory must be there. `name`: 1 to 47 bytes. kWrongCall, kInputOutput.
  static Expected<std::unique_ptr<StableStore>> open(const std::string& path,
                                                     const std::string& name,
                                                     uint64_t max_image_bytes);

  // kNoSpace: the memory is full; kTooLarge: it could never hold the message.
  Outcome put(const MessageView& message) override;
  Outcome read(Image* image) override;
  Outcome compact() override;
  StoreReport report() const override;

 private:
  StableStore(stm::Memory memory, std::string name, uint64_t max_image_bytes)
      : memory_(std::move(memory)), name_(std::move(name)), max_image_bytes_(max_image_bytes) {}

  Outcome replace_all(const MessageView& base);

  stm::Memory memory_;
  const std::string name_;
  const uint64_t max_image_bytes_;
};

}  // namespace auxin::checkpoint
