// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/message/contents_check.h"

#include "checkpoint/message/run_contents.h"

namespace auxin::checkpoint {

bool ContentsCheck::next_run() {
  for (;;) {
    if (in_region_ && walk_.next_run(&run_, &stored_)) return true;
    in_region_ = walk_.next_region(&region_);
    if (!in_region_) return false;
  }
}

void ContentsCheck::advance(uint64_t there_bytes) {
  const uint8_t* there = message_.bytes().data() + there_bytes;
  while (!all_ && good_) {
    if (stored_ == nullptr && !next_run()) {
      all_ = true;
      return;
    }
    if (stored_ + run_.stored_bytes > there) return;
    if (static_cast<Encoding>(run_.encoding) == Encoding::kLz4 &&
        !scratch_.resize(kMaxRunBytes)) {
      good_ = false;
      return;
    }
    good_ = contents_are_good(run_, stored_, message_.has_checksums(), scratch_.data());
    stored_ = nullptr;
  }
}

}  // namespace auxin::checkpoint
