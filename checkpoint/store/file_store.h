// SPDX-License-Identifier: Apache-2.0
//
// A directory of segments: an immutable base, and immutable increments that follow it.
//
//     00000000000000000007-base        00000000000000000008-increment   …
//
// A segment is written under another name, synchronised if wanted, and renamed; so at every
// moment the directory has the image that was put last. A new base makes the older segments
// superfluous; they are removed after it is there. Whoever dies in between leaves files that the
// next one to open the store removes.
//
// One process at a time may put: it holds a lock on the directory. Readers need none.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "checkpoint/message/chain.h"
#include "checkpoint/store/message_store.h"

namespace auxin::checkpoint {

struct FileStoreOptions {
  bool sync = true;        // a message that was put survives a power failure too
  bool read_only = false;  // put() is refused; nothing is removed, no lock is taken
  // Of an image that is read.
  uint64_t max_image_bytes = UINT64_MAX;
};

class FileStore : public MessageStore {
 public:
  // Makes the directory (0700) if it is not there. kBusy: another process puts into it.
  static Expected<std::unique_ptr<FileStore>> open(const std::string& path,
                                                   const FileStoreOptions& options);
  ~FileStore() override;

  Outcome put(const MessageView& message) override;
  Outcome read(Image* image) override;
  Outcome compact() override;
  StoreReport report() const override { return report_; }
  // The base, or the increment that follows: as it was put.
  Expected<ByteBuffer> message_after(const ChainPosition& have) override;

 private:
  FileStore(std::string path, const FileStoreOptions& options)
      : path_(std::move(path)), options_(options) {}

  struct Segment {
    bool base = false;
    std::string name;
    uint64_t bytes = 0;
  };
  // A segment's file in memory, examined.
  class Mapped;

  Outcome open_directory();
  Outcome survey();
  Outcome list();
  bool follow_chain(uint64_t base_sequence);
  void remove_superfluous();
  Outcome put_segment(const MessageView& message);

  const std::string path_;
  const FileStoreOptions options_;
  int directory_ = -1;
  std::multimap<uint64_t, Segment> segments_;  // by sequence
  ChainPosition position_;
  std::vector<std::string> chain_;             // the names that make the image, in order
  StoreReport report_;
};

}  // namespace auxin::checkpoint
