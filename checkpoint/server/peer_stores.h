// SPDX-License-Identifier: Apache-2.0
//
// A server's own connections to another one, or to an intermediary: one for each name.
//
// Thread safety: any thread; those that use one name wait for one another.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "checkpoint/transport/remote_store.h"

namespace auxin::checkpoint {

class PeerStores {
 public:
  PeerStores(std::string address, RemoteOptions options)
      : address_(std::move(address)), options_(std::move(options)) {}

  // Connects if it must, then `work(RemoteStore&)`.
  template <typename Work>
  Outcome with(const std::string& name, Work&& work) {
    One* one = nullptr;
    {
      const std::lock_guard lock(mutex_);
      std::unique_ptr<One>& kept = ones_[name];
      if (kept == nullptr) kept = std::make_unique<One>();
      one = kept.get();
    }
    const std::lock_guard lock(one->mutex);
    if (one->store == nullptr) {
      Expected<std::unique_ptr<RemoteStore>> opened = RemoteStore::open(address_, name, options_);
      if (!opened) return opened.outcome();
      one->store = std::move(*opened);
    }
    return work(*one->store);
  }
  const std::string& address() const { return address_; }

 private:
  struct One {
    std::mutex mutex;
    std::unique_ptr<RemoteStore> store;
  };
  const std::string address_;
  const RemoteOptions options_;
  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<One>> ones_;
};

}  // namespace auxin::checkpoint
