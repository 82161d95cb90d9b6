// SPDX-License-Identifier: Apache-2.0
//
// A client that does not know what a retry is: several connections, several requests on their way
// on each. Whatever is acknowledged must be there exactly once. One load at a time: entries of
// another one in the journal would look like doubled ones.
//
//   harbour_load PORT [--clients N] [--calls N] [--depth N] [--rate CALLS_PER_S] [--seed S]
//
// Prints GOOD and ends with 0, or says what is wrong and ends with 1.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "ferry/wire.h"

namespace {

using ferry::Input;
using ferry::Kind;
using ferry::Output;

struct Options {
  uint16_t port = 0;
  unsigned clients = 4, calls = 1000, depth = 4, rate = 0, seed = 1;
};

class Peer {
 public:
  explicit Peer(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      throw std::runtime_error(std::string("connect: ") + strerror(errno));
    const int yes = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  ~Peer() { close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  uint32_t ask(const std::string& key, const std::string& operation, const Output& arguments) {
    Output names;
    names.text(key);
    names.text(operation);
    const std::string bytes =
        ferry::message(Kind::kRequest, 0, ++last_id_, names.bytes() + arguments.bytes());
    for (size_t sent = 0; sent < bytes.size();) {
      const ssize_t size = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (size <= 0) throw std::runtime_error(std::string("send: ") + strerror(errno));
      sent += static_cast<size_t>(size);
    }
    return last_id_;
  }
  // The next reply: its id.
  uint32_t answer(std::string* body) {
    char bytes[ferry::kHeaderBytes];
    receive(bytes, sizeof bytes);
    const ferry::Header header = ferry::read_header(bytes);
    const size_t size = header.length + ferry::kLengthBytes;
    if (header.kind != static_cast<uint8_t>(Kind::kReply) || size < sizeof bytes ||
        size > ferry::kMostBytes) {
      throw std::runtime_error("what came is no reply");
    }
    body->resize(size - sizeof bytes);
    receive(body->data(), body->size());
    if (header.status != 0) throw std::runtime_error("a request was refused");
    return header.id;
  }
  int64_t number(const std::string& key, const std::string& operation, const Output& arguments) {
    const uint32_t id = ask(key, operation, arguments);
    std::string body;
    if (answer(&body) != id) throw std::runtime_error("a reply to something else");
    return number_in(body);
  }
  std::string text(const std::string& key, const std::string& operation, const Output& arguments) {
    const uint32_t id = ask(key, operation, arguments);
    std::string body, value;
    if (answer(&body) != id) throw std::runtime_error("a reply to something else");
    if (!Input(body).text(&value)) throw std::runtime_error("a reply without its text");
    return value;
  }
  static int64_t number_in(const std::string& body) {
    int64_t value = 0;
    if (!Input(body).number(&value)) throw std::runtime_error("a reply without its number");
    return value;
  }

 private:
  void receive(char* to, size_t size) {
    while (size > 0) {
      const ssize_t had = recv(fd_, to, size, 0);
      if (had <= 0) throw std::runtime_error(had == 0 ? "the server closed the connection"
                                                      : strerror(errno));
      to += had;
      size -= static_cast<size_t>(had);
    }
  }
  const int fd_;
  uint32_t last_id_ = 0;
};

// What all clients have had acknowledged.
struct Ledger {
  std::mutex lock;
  int64_t length_before = 0;  // of the journal
  int64_t deposited = 0;
  std::map<int64_t, std::string> entries;   // of the journal, by number
  std::map<std::string, int64_t> accounts;  // what each must have, by key
  std::string wrong;

  void fail(const std::string& what) {
    std::lock_guard<std::mutex> hold(lock);
    if (wrong.empty()) wrong = what;
  }
};

struct Call {
  enum class What { kDeposit, kMove, kAppend, kOpen } what;
  int64_t amount;
  std::string text;
};

class Client {
 public:
  Client(const Options& options, unsigned number, Ledger& ledger)
      : options_(options), number_(number), ledger_(ledger), peer_(options.port),
        random_(options.seed * 1000 + number) {}

  void run() {
    const auto begin = std::chrono::steady_clock::now();
    own_ = peer_.text("office", "open", Output());
    note_account(own_);
    other_ = peer_.text("office", "open", Output());
    note_account(other_);
    for (unsigned call = 0; call < options_.calls || !pending_.empty();) {
      if (call < options_.calls && pending_.size() < options_.depth) {
        if (options_.rate > 0) {
          std::this_thread::sleep_until(
              begin + std::chrono::microseconds(1'000'000ull * call / options_.rate));
        }
        begin_call(call++);
      } else {
        end_call();
      }
    }
  }

 private:
  void begin_call(unsigned ordinal) {
    Call call{Call::What::kDeposit, static_cast<int64_t>(random_() % 100 + 1), ""};
    const unsigned dice = random_() % 16;
    Output arguments;
    uint32_t id;
    if (dice == 0) {
      call.what = Call::What::kOpen;
      id = peer_.ask("office", "open", arguments);
    } else if (dice < 5) {
      call.what = Call::What::kAppend;
      call.text = std::to_string(number_) + "/" + std::to_string(ordinal);
      arguments.text(call.text);
      id = peer_.ask("journal", "append", arguments);
    } else if (dice < 8) {
      call.what = Call::What::kMove;
      arguments.text(other_);
      arguments.number(call.amount);
      id = peer_.ask(own_, "move", arguments);
    } else {
      arguments.number(call.amount);
      id = peer_.ask(own_, "deposit", arguments);
    }
    pending_[id] = call;
  }

  void end_call() {
    std::string body;
    const auto found = pending_.find(peer_.answer(&body));
    if (found == pending_.end()) throw std::runtime_error("a reply that nobody waits for");
    const Call call = found->second;
    pending_.erase(found);
    std::string text;
    if (call.what == Call::What::kOpen) {
      if (!Input(body).text(&text)) throw std::runtime_error("open gave no key");
      note_account(text);
      return;
    }
    const int64_t number = Peer::number_in(body);
    std::lock_guard<std::mutex> hold(ledger_.lock);
    if (call.what == Call::What::kDeposit) {
      ledger_.deposited += call.amount;
      ledger_.accounts[own_] += call.amount;
    }
    if (call.what == Call::What::kMove) {
      ledger_.accounts[own_] -= call.amount;
      ledger_.accounts[other_] += call.amount;
    }
    if (call.what == Call::What::kAppend && !ledger_.entries.emplace(number, call.text).second)
      throw std::runtime_error("two entries with the number " + std::to_string(number));
  }

  void note_account(const std::string& key) {
    std::lock_guard<std::mutex> hold(ledger_.lock);
    if (!ledger_.accounts.emplace(key, 0).second)
      throw std::runtime_error("two accounts with the key " + key);
  }

  const Options& options_;
  const unsigned number_;
  Ledger& ledger_;
  Peer peer_;
  std::minstd_rand random_;
  std::string own_, other_;
  std::map<uint32_t, Call> pending_;
};

void check(const Options& options, Ledger& ledger) {
  Peer peer(options.port);
  for (const auto& [key, acknowledged] : ledger.accounts) {
    const int64_t balance = peer.number(key, "balance", Output());
    if (balance != acknowledged) {
      throw std::runtime_error(key + " has " + std::to_string(balance) + ", acknowledged were " +
                               std::to_string(acknowledged));
    }
  }
  for (const auto& [number, text] : ledger.entries) {
    Output arguments;
    arguments.number(number);
    if (peer.text("journal", "text", arguments) != text)
      throw std::runtime_error("entry " + std::to_string(number) + " is another one");
  }
  // An append that was done twice and acknowledged once leaves a number that nobody was given.
  const int64_t appended = peer.number("journal", "length", Output()) - ledger.length_before;
  if (appended != static_cast<int64_t>(ledger.entries.size())) {
    throw std::runtime_error("the journal has " + std::to_string(appended) +
                             " more entries, acknowledged were " +
                             std::to_string(ledger.entries.size()));
  }
}

unsigned number_of(const char* text, const char* option) {
  char* end;
  const unsigned long value = strtoul(text, &end, 10);
  if (*text != '\0' && *end == '\0' && value < 1'000'000'000) return static_cast<unsigned>(value);
  fprintf(stderr, "harbour_load: %s: \"%s\" is no number\n", option, text);
  exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (argc % 2 != 0) {
    fprintf(stderr, "usage: harbour_load PORT [--clients N] [--calls N] [--depth N] [--rate N] "
                    "[--seed S]\n");
    return 2;
  }
  options.port = static_cast<uint16_t>(number_of(argv[1], "PORT"));
  for (int i = 2; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    unsigned* target = option == "--clients" ? &options.clients
                       : option == "--calls" ? &options.calls
                       : option == "--depth" ? &options.depth
                       : option == "--rate"  ? &options.rate
                       : option == "--seed"  ? &options.seed
                                             : nullptr;
    if (target == nullptr) {
      fprintf(stderr, "harbour_load: %s is no option\n", option.c_str());
      return 2;
    }
    *target = number_of(argv[i + 1], argv[i]);
  }
  Ledger ledger;
  try {
    ledger.length_before = Peer(options.port).number("journal", "length", Output());
  } catch (const std::exception& error) {
    printf("WRONG: %s\n", error.what());
    return 1;
  }
  std::vector<std::thread> threads;
  for (unsigned number = 0; number < options.clients; ++number) {
    threads.emplace_back([&, number] {
      try {
        Client(options, number, ledger).run();
      } catch (const std::exception& error) {
        ledger.fail("client " + std::to_string(number) + ": " + error.what());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  try {
    if (ledger.wrong.empty()) check(options, ledger);
  } catch (const std::exception& error) {
    ledger.fail(error.what());
  }
  if (!ledger.wrong.empty()) {
    printf("WRONG: %s\n", ledger.wrong.c_str());
    return 1;
  }
  printf("GOOD: %zu accounts, %zu entries, %lld deposited\n", ledger.accounts.size(),
         ledger.entries.size(), static_cast<long long>(ledger.deposited));
}
