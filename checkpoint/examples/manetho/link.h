// SPDX-License-Identifier: Apache-2.0
//
// A connection to another process: frames in order, nothing blocks. What a frame has besides the
// application's message is what Manetho adds: the receipts that the other one may not know.
#pragma once

#include <string>
#include <vector>

#include "application.h"

namespace manetho {

enum class Kind : uint32_t {
  kHello = 1,    // the first one on a connection, from both sides
  kMessage = 2,  // of the application
  kHold = 3,     // nothing but receipts: say when you have them
  kHeld = 4,     // the answer
};

struct FrameHeader {
  Kind kind;
  uint32_t from;
  uint32_t receipt_count;  // that follow the header
  uint32_t zero;
  uint64_t number, interval;          // of a message: as in the log
  uint64_t arrived;                   // in a hello: how many of the other's messages have come
  uint64_t covered_receipts;          // of the other's messages, by the sender's checkpoint
  uint64_t covered[kProcesses];       // ProcessState::covered
  uint64_t known[kProcesses];         // the last interval of each that the sender's graph has
  Token token;
};

struct Frame {
  FrameHeader header;
  std::vector<Receipt> receipts;
};

class Link {
 public:
  Link() = default;
  // Takes the socket over.
  explicit Link(int socket);
  Link(Link&& other) noexcept;
  Link& operator=(Link&& other) noexcept;
  ~Link() { close(); }

  bool is_open() const { return socket_ >= 0; }
  int socket() const { return socket_; }
  bool has_output() const { return !output_.empty(); }
  void send(const Frame& frame);
  // Moves bytes. False: the other side is gone, and all that came from it has been read.
  bool write_some();
  bool read_some();
  // False: none is complete.
  bool next(Frame* frame);
  void close();

 private:
  int socket_ = -1;
  std::string output_, input_;
};

// -1: errno says why. connect_to: nobody listens, most of all.
int listen_at(const std::string& path);
int connect_to(const std::string& path);

}  // namespace manetho
