// SPDX-License-Identifier: Apache-2.0
//
// A server on ferry: accounts, a journal whose entries are numbered, and an office that opens more
// accounts. What it answers depends on the order in which its locks are taken.
//
//   harbour_server [--port PORT]      prints "ready PORT"; ends on SIGTERM
//
// Objects: "office": open() → key; "journal": append(text) → number, length() → number,
// text(number) → text; each account: deposit(amount) → balance, balance() → balance, move(account,
// amount) → balance.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ferry/server.h"

namespace harbour {

using ferry::Input;
using ferry::Output;

class Account : public ferry::Servant {
 public:
  explicit Account(ferry::Registry& registry) : registry_(registry) {}

  bool call(const std::string& operation, Input& arguments, Output& results) override {
    int64_t amount = 0;
    if (operation == "balance") return change(0, results);
    if (operation == "deposit") return arguments.number(&amount) && change(amount, results);
    if (operation == "move") {
      std::string key;
      return arguments.text(&key) && arguments.number(&amount) && move(key, amount, results);
    }
    return false;
  }

 private:
  bool change(int64_t amount, Output& results) {
    std::lock_guard<std::mutex> hold(lock_);
    balance_ += amount;
    results.number(balance_);
    return true;
  }
  bool move(const std::string& key, int64_t amount, Output& results) {
    const auto other = std::dynamic_pointer_cast<Account>(registry_.find(key));
    if (other == nullptr || other.get() == this) return false;
    std::scoped_lock hold(lock_, other->lock_);
    balance_ -= amount;
    other->balance_ += amount;
    results.number(balance_);
    return true;
  }

  ferry::Registry& registry_;
  std::mutex lock_;
  int64_t balance_ = 0;
};

class Journal : public ferry::Servant {
 public:
  bool call(const std::string& operation, Input& arguments, Output& results) override {
    std::lock_guard<std::mutex> hold(lock_);
    std::string text;
    int64_t number = 0;
    if (operation == "length") {
      results.number(static_cast<int64_t>(entries_.size()));
      return true;
    }
    if (operation == "append" && arguments.text(&text)) {
      entries_.push_back(text);
      results.number(static_cast<int64_t>(entries_.size()));
      return true;
    }
    if (operation == "text" && arguments.number(&number) && number >= 1 &&
        static_cast<size_t>(number) <= entries_.size()) {
      results.text(entries_[static_cast<size_t>(number) - 1]);
      return true;
    }
    return false;
  }

 private:
  std::mutex lock_;
  std::vector<std::string> entries_;
};

class Office : public ferry::Servant {
 public:
  explicit Office(ferry::Registry& registry) : registry_(registry) {}
  bool call(const std::string& operation, Input&, Output& results) override {
    if (operation != "open") return false;
    results.text(registry_.activate(std::make_shared<Account>(registry_)));
    return true;
  }

 private:
  ferry::Registry& registry_;
};

}  // namespace harbour

int main(int argc, char** argv) {
  unsigned long port = 0;
  if (argc == 3 && strcmp(argv[1], "--port") == 0) port = strtoul(argv[2], nullptr, 10);
  if (argc != 1 && (argc != 3 || port > 0xffff)) {
    fprintf(stderr, "usage: harbour_server [--port PORT]\n");
    return 2;
  }
  try {
    ferry::Server server(static_cast<uint16_t>(port));
    ferry::Registry& registry = server.registry();
    registry.activate(std::make_shared<harbour::Office>(registry), "office");
    registry.activate(std::make_shared<harbour::Journal>(), "journal");
    printf("ready %u\n", unsigned{server.port()});
    fflush(stdout);
    server.run();
  } catch (const std::exception& error) {
    fprintf(stderr, "harbour_server: %s\n", error.what());
    return 1;
  }
}
