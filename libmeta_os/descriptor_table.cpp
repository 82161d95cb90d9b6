// SPDX-License-Identifier: Apache-2.0
#include "libmeta_os/descriptor_table.h"

namespace auxin::os {

namespace internal {
constinit std::atomic<MetaSocket*> meta_sockets[kMaxDescriptors] = {};
constinit std::atomic<uint8_t> descriptor_marks[kMaxDescriptors] = {};
}  // namespace internal

namespace {

constinit std::atomic<int> end_of_attached{0};  // no higher descriptor was ever attached

bool in_range(int fd) {
  return static_cast<unsigned>(fd) < static_cast<unsigned>(kMaxDescriptors);
}

}  // namespace

void attach(int fd, MetaSocket* socket) {
  if (!in_range(fd)) return;
  internal::meta_sockets[fd].store(socket, std::memory_order_release);
  int end = end_of_attached.load();
  while (end <= fd && !end_of_attached.compare_exchange_weak(end, fd + 1)) {
  }
}

void detach(int fd) {
  if (in_range(fd)) internal::meta_sockets[fd].store(nullptr, std::memory_order_release);
}

int attached_count(const MetaSocket* socket) {
  const int end = end_of_attached.load();
  int count = 0;
  for (int fd = 0; fd < end; ++fd) {
    if (internal::meta_sockets[fd].load(std::memory_order_relaxed) == socket) ++count;
  }
  return count;
}

void detach_all() {
  const int end = end_of_attached.load();
  for (int fd = 0; fd < end; ++fd) detach(fd);
}

void set_mark(int fd, DescriptorMark mark, bool on) {
  if (!in_range(fd)) return;
  if (on) {
    internal::descriptor_marks[fd].fetch_or(mark, std::memory_order_relaxed);
  } else {
    internal::descriptor_marks[fd].fetch_and(static_cast<uint8_t>(~mark),
                                             std::memory_order_relaxed);
  }
}

void clear_marks(int fd) {
  if (in_range(fd) && internal::descriptor_marks[fd].load(std::memory_order_relaxed) != 0) {
    internal::descriptor_marks[fd].store(0, std::memory_order_relaxed);
  }
}

void copy_marks(int from, int to) {
  if (!in_range(to)) return;
  const uint8_t marks =
      in_range(from) ? internal::descriptor_marks[from].load(std::memory_order_relaxed) : 0;
  if (internal::descriptor_marks[to].load(std::memory_order_relaxed) != marks) {
    internal::descriptor_marks[to].store(marks, std::memory_order_relaxed);
  }
}

}  // namespace auxin::os
