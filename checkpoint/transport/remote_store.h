// SPDX-License-Identifier: Apache-2.0
//
// A store that is a name at a checkpoint server, or at a receiver: in this host or another.
//
// It connects when it has something to say, and again when the connection broke: with a growing
// pause, until `give_up_ms` have passed in which nothing got on. A transfer goes on from what the
// server has of it.
//
// Thread safety: one thread at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/store/message_store.h"
#include "checkpoint/transport/frame.h"
#include "checkpoint/transport/message_transfer.h"

namespace auxin::checkpoint {

struct RemoteOptions {
  uint64_t max_image_bytes = UINT64_MAX;  // of an image that is read
  uint32_t piece_bytes = kUsualPieceBytes;
  int stall_ms = 10'000;    // a connection on which nothing moves for so long is broken
  int give_up_ms = 30'000;
  std::string secret;       // empty: none
};

class RemoteStore : public MessageStore {
 public:
  // Asks the server once. kWrongCall (address, name, secret), kInputOutput.
  static Expected<std::unique_ptr<RemoteStore>> open(const std::string& address,
                                                     const std::string& name,
                                                     const RemoteOptions& options);

  // What the server's store says; kInputOutput also if the server could not be reached any more:
  // then it may have the message, and says so when it is put again.
  Outcome put(const MessageView& message) override;
  Outcome read(Image* image) override;
  Outcome compact() override;
  // As of the last answer.
  StoreReport report() const override;

  // Asks the server for its report.
  Outcome ask_report();
  // What a server keeps.
  struct Entry {
    std::string name;
    KeptRecord kept;
  };
  static Expected<std::vector<Entry>> list(const std::string& address,
                                           const RemoteOptions& options);
  // Connections that broke, and transfers that went on from what was there.
  uint64_t breaks() const { return breaks_; }
  uint64_t resumed() const { return resumed_; }

 private:
  RemoteStore(Address address, std::string name, const RemoteOptions& options)
      : address_(std::move(address)), name_(std::move(name)), options_(options) {}

  Outcome connect();
  void disconnect();
  // Tries `work` until it has an answer, or nothing gets on; *got_on by the work: it did.
  Outcome insist(const std::function<Answer(bool* got_on)>& work);
  Answer ask(FrameKind kind);
  Answer ask_list(std::vector<Entry>* entries);
  Answer read_messages(Image* image, Assembly* assembly, bool* got_on);

  const Address address_;
  const std::string name_;
  const RemoteOptions options_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<FrameStream> stream_;
  uint64_t max_message_bytes_ = 0;  // that the server takes
  KeptRecord kept_{};
  uint64_t breaks_ = 0, resumed_ = 0;
};

}  // namespace auxin::checkpoint
