// SPDX-License-Identifier: Apache-2.0
//
// A state as a plain map of byte strings, changed at random, and the messages that say so: what
// receivers of these messages must come to is known byte for byte.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <map>
#include <random>
#include <vector>

#include "checkpoint/message/image.h"
#include "checkpoint/message/message_view.h"
#include "checkpoint/message/message_writer.h"

namespace auxin::checkpoint::test {

using Model = std::map<uint64_t, std::vector<uint8_t>>;

inline bool equal(const Image& image, const Model& model) {
  if (image.regions().size() != model.size()) return false;
  for (const auto& [id, bytes] : model) {
    const Image::Region* region = image.region(id);
    if (region == nullptr || region->bytes.size() != bytes.size()) return false;
    if (!bytes.empty() && std::memcmp(region->bytes.data(), bytes.data(), bytes.size()) != 0) {
      return false;
    }
  }
  return true;
}

class MessageHistory {
 public:
  explicit MessageHistory(uint64_t seed) : random_(seed) {
    options_.lz4 = random_() % 2 != 0;
    options_.checksums = random_() % 8 != 0;
    options_.find_zeros = random_() % 2 != 0;
  }

  const Model& model() const { return model_; }
  uint64_t sequence() const { return sequence_; }

  // Everything, with the sequence number that comes next.
  ByteBuffer base() {
    if (model_.empty()) change_regions();
    MessageWriter writer({kState, 0, ++sequence_, 7, sequence_ * 3}, options_);
    for (const auto& [id, bytes] : model_) {
      writer.begin_region(id, bytes.size(), id << 12, kWhole);
      writer.add_contents(0, bytes.data(), bytes.size());
    }
    return std::move(*writer.finish());
  }

  // Some changes, and the message that tells them.
  ByteBuffer increment() {
    const Model before = model_;
    const uint64_t from = sequence_++;
    MessageWriter writer({kState, from, sequence_, 7, sequence_ * 3}, options_);
    std::map<uint64_t, std::map<uint64_t, uint64_t>> runs;  // region: offset: length
    if (random_() % 3 == 0) change_regions();
    for (auto& [id, bytes] : model_) {
      const auto old = before.find(id);
      if (old == before.end()) {
        if (!bytes.empty()) runs[id][0] = bytes.size();
        continue;
      }
      for (uint64_t n = random_() % 4; n > 0 && !bytes.empty(); --n) store(bytes, runs[id]);
    }
    for (const auto& [id, bytes] : before) {
      if (model_.count(id) == 0) runs[id];
    }
    for (const auto& [id, bytes] : model_) {
      if (before.count(id) == 0 || before.at(id).size() != bytes.size()) runs[id];
    }
    for (const auto& [id, stored] : runs) write(writer, id, stored, before.count(id) == 0);
    return std::move(*writer.finish());
  }

 private:
  static constexpr uint64_t kState = 0x5eed;

  // Each region at most once: a message tells what became of it, not how.
  void change_regions() {
    for (uint64_t id = random_() % 3; id < 6; id += random_() % 3 + 1) {
      const auto found = model_.find(id);
      if (found == model_.end()) {
        std::vector<uint8_t>& bytes = model_[id];
        bytes.resize(random_() % 6000);
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random_() % 3);
      } else if (random_() % 2 == 0) {
        model_.erase(found);
      } else {
        found->second.resize(random_() % 6000);  // what is new is zeros
      }
    }
  }

  void store(std::vector<uint8_t>& bytes, std::map<uint64_t, uint64_t>& runs) {
    const uint64_t offset = random_() % bytes.size();
    const uint64_t length = random_() % (bytes.size() - offset) % 700 + 1;
    const bool zeros = random_() % 4 == 0;
    for (uint64_t i = 0; i < length; ++i) {
      bytes[offset + i] = zeros ? 0 : static_cast<uint8_t>(random_() % 5);
    }
    runs[offset] = std::max(runs[offset], length);
  }

  void write(MessageWriter& writer, uint64_t id, const std::map<uint64_t, uint64_t>& runs,
             bool is_new) {
    const auto found = model_.find(id);
    if (found == model_.end()) return writer.add_removed_region(id);
    const std::vector<uint8_t>& bytes = found->second;
    writer.begin_region(id, bytes.size(), id << 12, is_new ? kWhole : 0u);
    uint64_t end = 0;
    for (const auto& [offset, length] : runs) {
      const uint64_t from = std::max(end, offset);
      if (from >= offset + length) continue;
      writer.add_contents(from, bytes.data() + from, offset + length - from);
      end = offset + length;
    }
  }

  std::mt19937_64 random_;
  MessageOptions options_;
  Model model_;
  uint64_t sequence_ = 0;
};

}  // namespace auxin::checkpoint::test
