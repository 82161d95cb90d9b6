// SPDX-License-Identifier: Apache-2.0
//
// The process's open descriptors: what each of them is, read at the stop, and how it is made again.
//
//   regular files, directories, devices   opened again by name, at the same position; if the files
//                                          are the process's alone, cut to the length they had, or,
//                                          where the name is another file's by now, put back from
//                                          the copies beside the image
//   pipes with both ends in the process    a new pipe, with the bytes that lay in the old one
//   pipes to other processes               what the restored process has inherited under the same
//                                          number, if it is the same pipe; else a pipe at its end
//   eventfd, timerfd, signalfd, epoll      made again with their state
//   0, 1, 2                                those of the process that restores
//   sockets                                their owner's (the engine's); without one, listening
//                                          ones listen again, others are connected to nobody
//
// Read and made with raw system calls, while all other threads are stopped.
#pragma once

#include <cstddef>
#include <cstdint>

namespace auxin::checkpoint {

inline constexpr int kMaxDescriptors = 4096;

struct SavedDescriptor {
  enum Kind : uint32_t {
    kFile, kPipe, kEventFd, kEpoll, kTimerFd, kSignalFd, kSocket, kOther
  };
  int32_t fd;
  Kind kind;
  uint32_t open_flags;       // as fcntl(F_GETFL)
  uint32_t close_on_exec;
  uint64_t identity;         // inode: equal for both ends of a pipe
  int32_t duplicate_of;      // a lower descriptor with the same open file; -1: none
  uint32_t padding;
  uint64_t position;         // kFile
  uint64_t state[4];         // kFile: whether it is regular and written, length, mode, a descriptor
                             // that holds it. kEventFd: count, semaphore. kTimerFd: clock, value
                             // ns, interval ns, flags. kSignalFd: mask. kSocket: family, type,
                             // protocol, listens
  uint32_t text_offset;      // kFile: path. kEpoll: lines of what it watches. kPipe: its bytes.
                             // kSocket: the address where it listens
  uint32_t text_size_bytes;

  bool listens() const { return kind == kSocket && state[3] != 0; }
};

class Descriptors {
 public:
  bool prepare();             // maps the tables, which are part of the image
  // At the stop. `ours`: the saver's own, no part of the image.
  void read(bool (*ours)(int fd));
  // In the restored process. `claimed`: the owner's, asked first for each: true if it has put
  // something under the number. Null: nobody's.
  // `copies`: as copy_files() was given it, if nobody else writes the files that it has open for
  // writing: what its donor wrote there after the image it writes once more. Null: somebody does.
  // Returns the path of a file that can't be had as it was; null: none.
  const char* make_again(bool (*claim)(const SavedDescriptor&), const char* copies);
  // At the stop, after read(): files that are mapped shared and writable (`shared` says so of a
  // path) keep what they have: neither copied nor cut back, as their mappings are not.
  void leave_shared_files(bool (*shared)(const char* path));
  // At the stop, after read(): regular files that are written are kept open until copy_files(),
  // after it, has copied what was in them to IMAGE.file.FD. Returns 0 or -errno.
  void hold_files();
  long copy_files(const char* image);
  uint32_t count() const { return count_; }
  const SavedDescriptor& operator[](uint32_t index) const { return table_[index]; }
  const char* text(const SavedDescriptor& d) const { return text_ + d.text_offset; }
  // The first that can't be made again as it was, as a sentence; null: none.
  const char* problem();

 private:
  void read_one(int fd);
  void read_details(SavedDescriptor& saved, const char* info);
  void read_pipe(SavedDescriptor& saved);
  void find_original(uint32_t index);
  int make_one(uint32_t index);
  bool cut_back(const SavedDescriptor& saved) const;
  bool put_copy_back(const SavedDescriptor& saved, const char* copies) const;
  int make_pipe(uint32_t index);
  int make_socket(const SavedDescriptor& saved);
  void read_listening(SavedDescriptor& saved);
  void watch_again(const SavedDescriptor& saved);
  void add_text(SavedDescriptor& saved, const char* text, size_t size_bytes);

  SavedDescriptor* table_ = nullptr;
  char* text_ = nullptr;
  uint32_t count_ = 0, text_size_bytes_ = 0;
  char problem_text_[256] = "";
};

}  // namespace auxin::checkpoint
