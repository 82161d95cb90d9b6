// SPDX-License-Identifier: Apache-2.0
//
// A transaction on the saved files. Until its commit it works on copies, in memory that no
// checkpoint holds: whoever dies, nothing of it is left. It is optimistic: its commit is refused if
// a file that it has looked at has changed since.
//
// A commit is one save. The change and the fact that it was made (LastCommit) are in one increment,
// and a store keeps an increment as a whole or not at all.
//
// Not thread-safe.
#pragma once

#include <map>
#include <string>

#include "auxin/checkpoint.h"
#include "saved_files.h"

namespace file_service {

class Transaction {
 public:
  Transaction(SavedFiles& files, uint64_t client, uint64_t number)
      : files_(files), client_(client), number_(number) {}

  // As this transaction sees it; "" if there is none.
  const std::string& read(const std::string& name) { return copy_of(name).bytes; }
  Status write(const std::string& name, uint64_t offset, const char* data, uint32_t length);
  Status truncate(const std::string& name, uint64_t size_bytes);
  // kOk: it is kept, and survives. Whatever is returned, the transaction has ended.
  Status commit(auxin::checkpoint::State& state, auxin::checkpoint::Store& store);

 private:
  struct Copy {
    uint64_t version = 0;  // of the file when it was copied; 0: there was none
    std::string bytes;
    bool changed = false;
  };
  Copy& copy_of(const std::string& name);
  bool is_up_to_date() const;
  bool put_in_place();

  SavedFiles& files_;
  const uint64_t client_, number_;
  std::map<std::string, Copy> copies_;
};

}  // namespace file_service
