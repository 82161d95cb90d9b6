// SPDX-License-Identifier: Apache-2.0
//
// Unix stream sockets: whole records, and an owner of the descriptor. Blocking, with time limits.
#pragma once

#include <cstddef>
#include <string>

namespace server_group {

class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  // Not valid: errno says why. A socket that is at `path` already is replaced.
  static Socket listening_at(const std::string& path);
  static Socket connected_to(const std::string& path);
  Socket accept() const;

  bool is_valid() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }
  // A record that takes longer, either way, has failed; 0: for ever.
  void limit_ms(int limit) const;

  // False: the other side is gone, or too slow.
  template <typename Record>
  bool send(const Record& record) const {
    return send_bytes(&record, sizeof(record));
  }
  template <typename Record>
  bool receive(Record* record) const {
    return receive_bytes(record, sizeof(*record));
  }

 private:
  bool send_bytes(const void* bytes, size_t size_bytes) const;
  bool receive_bytes(void* bytes, size_t size_bytes) const;

  int descriptor_ = -1;
};

}  // namespace server_group
