// SPDX-License-Identifier: Apache-2.0
//
// Which file descriptors have a MetaSocket.
//
// A fixed table of pointers indexed by descriptor: the test that every socket hook makes is one
// load. Descriptors beyond the table never have a meta-object.
//
// Thread safety: all functions from any thread; a pointer read stays valid because MetaSockets are
// never freed (they are recycled by their style).
#pragma once

#include <atomic>
#include <cstdint>

#include "libmeta_os/facets.h"

namespace auxin::os {

inline constexpr int kMaxDescriptors = 65536;

namespace internal {
extern std::atomic<MetaSocket*> meta_sockets[kMaxDescriptors];
extern std::atomic<uint8_t> descriptor_marks[kMaxDescriptors];
}  // namespace internal

// Null: none, or fd is out of range.
inline MetaSocket* meta_socket(int fd) {
  if (static_cast<unsigned>(fd) >= static_cast<unsigned>(kMaxDescriptors)) return nullptr;
  return internal::meta_sockets[fd].load(std::memory_order_acquire);
}
void attach(int fd, MetaSocket* socket);     // after the style made it
void detach(int fd);                         // before the number can be reused
int attached_count(const MetaSocket* socket);  // how many descriptors share it
void detach_all();                           // in a forked child

// What the hooks know about a descriptor besides.
enum DescriptorMark : uint8_t {
  kEpollWithMeta = 1,  // an epoll descriptor that a MetaSocket has been added to
  kRandomSource = 2,   // /dev/random or /dev/urandom, opened where a value is wanted
};
inline bool is_marked(int fd, DescriptorMark mark) {
  return static_cast<unsigned>(fd) < static_cast<unsigned>(kMaxDescriptors) &&
         (internal::descriptor_marks[fd].load(std::memory_order_relaxed) & mark) != 0;
}
void set_mark(int fd, DescriptorMark mark, bool on);
void clear_marks(int fd);           // the number is closed or means something new
void copy_marks(int from, int to);  // `to` is a duplicate of `from`

}  // namespace auxin::os
