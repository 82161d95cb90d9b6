// SPDX-License-Identifier: Apache-2.0
//
// What the members agree on, in a directory of the host that all of them run on.
//
//   primary.lock    held by the primary; the kernel gives it back when the primary dies
//   alive-ID        held by the member ID as long as it lives; each start has another ID
//   view            the members that have every request that was answered; written by who holds
//                   the primary's lock, and by nobody else
//
// The rule that all rests on: an answer leaves only after each member of the view has the increment
// with it, or is no longer in the view. So any member of the view may be the next primary, and
// others may not, whatever they think they have.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace server_group {

// A lock on a file; ends with this object or with the process.
class FileLock {
 public:
  FileLock() = default;
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  ~FileLock() { release(); }
  // False: another process holds it.
  bool try_take(const std::string& path);
  void release();

 private:
  int file_ = -1;
};

struct View {
  uint64_t number = 0;            // 0: there has been no answer yet; anybody may found the group
  std::vector<uint64_t> members;  // their IDs

  bool has(uint64_t member) const;
  void remove(uint64_t member);
};

class GroupDirectory {
 public:
  explicit GroupDirectory(std::string path) : path_(std::move(path)) {}

  std::string socket() const { return path_ + "/primary.socket"; }
  std::string lock() const { return path_ + "/primary.lock"; }
  std::string alive(uint64_t member) const;
  bool is_alive(uint64_t member) const;
  View read_view() const;
  // Whole or not at all; its number is one more than the last one's. False: errno says why.
  bool write_view(View* view) const;

 private:
  const std::string path_;
};

}  // namespace server_group
