// SPDX-License-Identifier: Apache-2.0
//
// A directory of a test's own on tmpfs, and messages of a small state to put into stores.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "checkpoint/message/image.h"
#include "checkpoint/message/message_writer.h"

namespace auxin::checkpoint::test {

class StoreDirectory {
 public:
  StoreDirectory() {
    std::string name = "/dev/shm/auxin-store-test-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  StoreDirectory(const StoreDirectory&) = delete;
  StoreDirectory& operator=(const StoreDirectory&) = delete;
  ~StoreDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path(const std::string& name = "store") const { return path_ + "/" + name; }

 private:
  std::string path_;
};

constexpr uint64_t kStateBytes = 4000;

// The state at `sequence` is this letter throughout.
inline char letter(uint64_t sequence) { return static_cast<char>('a' + sequence % 26); }

// From 0: a base.
inline ByteBuffer message_to(uint64_t sequence, uint64_t from) {
  MessageWriter writer({1, from, sequence, 0, sequence}, MessageOptions{});
  const std::string contents(kStateBytes, letter(sequence));
  writer.begin_region(1, kStateBytes, 0, from == 0 ? kWhole : 0u);
  writer.add_contents(0, contents.data(), contents.size());
  return std::move(*writer.finish());
}

inline MessageView view(const ByteBuffer& bytes) { return *MessageView::of(bytes.view()); }

// Whether the image is the state at its own sequence number.
inline bool is_consistent(const Image& image) {
  const Image::Region* region = image.region(1);
  return region != nullptr &&
         std::string(reinterpret_cast<const char*>(region->bytes.data()),
                     region->bytes.size()) ==
             std::string(kStateBytes, letter(image.position().sequence));
}

}  // namespace auxin::checkpoint::test
