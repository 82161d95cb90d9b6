// SPDX-License-Identifier: Apache-2.0
//
// The papers' meta-objects, as the hooks use them: thin views, none owns or allocates anything.
//
//   MetaMutex         a mutex and the verdict in it (mutex_tag.h)
//   ThreadMetaMutex   a thread's call on a MetaMutex: where it came from, and the way to the style
//   MetaSocket        what one replicated descriptor does; it is the style's class (facets.h)
//   ThreadMetaSocket  a thread's call on a MetaSocket, in each form that bytes come in
//   MetaThreadInfo    the calling thread: its markers, its counters, whether it is at the
//                     meta level
//
// Thread safety: views of objects as safe as the objects; MetaThreadInfo is its thread's own.
// Source: paper 004, slides 40 and 41.
#pragma once

#include "libmeta_os/counters.h"
#include "libmeta_os/descriptor_table.h"
#include "libmeta_os/guard.h"
#include "libmeta_os/mutex_tag.h"
#include "metamarkers/marker_stack.h"

namespace auxin::os {

class MetaMutex {
 public:
  explicit MetaMutex(pthread_mutex_t* mutex) : mutex_(mutex) {}

  bool classified() const { return tag_valid(tag()); }
  bool selected() const { return classified() && tag_selected(tag()); }
  unsigned site_class() const { return tag_class(tag()); }
  uint32_t identity() const { return tag_identity(tag()); }  // 0: none yet
  uint64_t acquisitions() const { return mutex_count(mutex_).load(std::memory_order_relaxed); }

  uint64_t tag() const { return mutex_tag(mutex_).load(std::memory_order_relaxed); }
  void forget() { mutex_tag(mutex_).store(0, std::memory_order_relaxed); }
  pthread_mutex_t* get() const { return mutex_; }

 private:
  pthread_mutex_t* mutex_;
};

// Made where the mutex turned out to be a contention point and a style has the facet.
class ThreadMetaMutex {
 public:
  ThreadMetaMutex(pthread_mutex_t* mutex, CallSite site) : mutex_(mutex), site_(site) {}

  int lock(const Deadline& deadline) const {
    return facets.synchronisation->mutex_lock(mutex_, deadline, site_);
  }
  int unlock() const { return facets.synchronisation->mutex_unlock(mutex_, site_); }
  int wait(pthread_cond_t* cond, const Deadline& deadline) const {
    return facets.synchronisation->cond_wait(cond, mutex_, deadline, site_);
  }

 private:
  pthread_mutex_t* mutex_;
  CallSite site_;
};

// False where the descriptor has no MetaSocket, or the thread is at the meta level: libc's then.
class ThreadMetaSocket {
 public:
  ThreadMetaSocket(int fd, CallSite site)
      : socket_(at_meta_level() ? nullptr : meta_socket(fd)), fd_(fd), site_(site) {}

  explicit operator bool() const { return socket_ != nullptr; }
  // For what needs no call site: shutdown, options, names, control.
  MetaSocket* operator->() const { return socket_; }

  int accept(sockaddr* address, socklen_t* length, int flags) const {
    return socket_->accept(fd_, address, length, flags, site_);
  }

  ssize_t receive(msghdr* message, int flags) const {
    return socket_->receive(fd_, message, flags, site_);
  }
  ssize_t receive(const iovec* parts, size_t count) const {
    msghdr message = of_parts(parts, count);
    return receive(&message, 0);
  }
  ssize_t receive(void* buffer, size_t size, int flags) const {
    const iovec part{buffer, size};
    msghdr message = of_parts(&part, 1);
    return receive(&message, flags);
  }
  ssize_t receive_from(void* buffer, size_t size, int flags, sockaddr* address,
                       socklen_t* length) const {
    const iovec part{buffer, size};
    msghdr message = of_parts(&part, 1);
    const bool named = address != nullptr && length != nullptr;
    if (named) {
      message.msg_name = address;
      message.msg_namelen = *length;
    }
    const ssize_t received = receive(&message, flags);
    if (received >= 0 && named) *length = message.msg_namelen;
    return received;
  }

  ssize_t send(const msghdr* message, int flags) const {
    return socket_->send(fd_, message, flags, site_);
  }
  ssize_t send(const iovec* parts, size_t count) const {
    const msghdr message = of_parts(parts, count);
    return send(&message, 0);
  }
  ssize_t send(const void* buffer, size_t size, int flags) const {
    return send_to(buffer, size, flags, nullptr, 0);
  }
  ssize_t send_to(const void* buffer, size_t size, int flags, const sockaddr* address,
                  socklen_t length) const {
    const iovec part{const_cast<void*>(buffer), size};
    msghdr message = of_parts(&part, 1);
    message.msg_name = const_cast<sockaddr*>(address);
    message.msg_namelen = length;
    return send(&message, flags);
  }

 private:
  static msghdr of_parts(const iovec* parts, size_t count) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = count;
    return message;
  }

  MetaSocket* socket_;
  int fd_;
  CallSite site_;
};

struct MetaThreadInfo {
  static bool at_meta_level() { return os::at_meta_level(); }
  static CounterShard& shard() { return os::shard(); }
  // Is a marker of this role on the thread's stack?
  static bool under(markers::Role role) {
    markers::MarkerStack& stack = markers::this_thread();
    return stack.depth() > 0 && stack.innermost(role) != nullptr;
  }
};

}  // namespace auxin::os
