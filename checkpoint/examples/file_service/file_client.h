// SPDX-License-Identifier: Apache-2.0
//
// The client's side: transactions that go on although the server dies. Not thread-safe.
#pragma once

#include <functional>
#include <stdexcept>
#include <string>

#include "protocol.h"

namespace file_service {

// The connection broke: the open transaction is aborted, or, within its commit, in doubt.
class Disconnected : public std::runtime_error {
 public:
  Disconnected() : std::runtime_error("the file server does not answer") {}
};

// The server refused; for kConflict, kFull and kNoTransaction the transaction has ended.
class Refused : public std::runtime_error {
 public:
  explicit Refused(Status status) : std::runtime_error("refused"), status_(status) {}
  Status status() const { return status_; }

 private:
  Status status_;
};

class FileClient {
 public:
  // Connects at the first call. Waits up to `patience_ms` for a server to come back.
  explicit FileClient(std::string socket, int patience_ms = 10'000);
  FileClient(const FileClient&) = delete;
  FileClient& operator=(const FileClient&) = delete;
  ~FileClient();

  // Runs `work` in a transaction, again and again until it has been committed, exactly once: also
  // if the server dies in between. `work` may run several times.
  void run(const std::function<void(FileClient&)>& work);

  // One by one.
  void begin();
  std::string read(const std::string& name);
  void write(const std::string& name, uint64_t offset, const std::string& data);
  void truncate(const std::string& name, uint64_t size_bytes);
  void commit();
  void abort();
  // Of the last transaction whose commit ended with Disconnected.
  bool was_committed();

 private:
  Reply call(Request request);
  Reply demand(const Request& request);
  Request request_of(Operation operation, const std::string& name = "") const;
  void connect();
  void disconnect();

  const std::string path_;
  const int patience_ms_;
  const uint64_t client_;
  uint64_t number_ = 0;
  int socket_ = -1;
};

}  // namespace file_service
