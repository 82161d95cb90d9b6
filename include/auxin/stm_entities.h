// SPDX-License-Identifier: Apache-2.0
//
// The stable entities of a fault-tolerant micro-kernel: stable ports, stable memory objects, stable
// tasks (M. Banâtre et al., "How to Design Reliable Servers using Fault Tolerant Micro-Kernel
// Mechanisms", USENIX Mach Symposium 1991, §3.2). They live in a stable memory (<auxin/stm.h>), are
// made and changed in its transactions, and outlive every program that uses them.
//
//     Transaction TServer;
//     while (true) {
//       Message client_message;
//       TServer.Begin();
//       server_port.receive(client_message);
//       …                                              // change stable objects
//       client_message.sender_port.send(Message{…});
//       TServer.Commit();                              // all of it happens here, or none
//     }
//
// Rights. A stable task has the rights that its table says: it receives from the ports that it made
// or whose receive right it was given, and sends to these and to the ports that it looked up by
// name or got in a message. A program outside of any task is the node itself, as the micro-kernel
// is: it may send to every port that it can name, and receives from the ports that it made or was
// given.
//
// Errors are Failures (stm.h). kNoRight: no such right, or the port or memory object is no more;
// the transaction goes on.
//
// Thread safety: all of it is used inside the calling thread's current transaction, or, where that
// is said, outside of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "auxin/stm.h"

namespace auxin::stm {

inline constexpr uint64_t kForever = ~uint64_t{0};  // a wait without a bound

enum class Right : uint8_t { kSend = 1, kReceive = 2 };

// A port that travels in a message, and the right to it that travels along.
struct PortInMessage {
  uint32_t offset;  // of the StablePort in the message's bytes
  Right right;
};

struct NewPort {
  uint64_t longest_queue = 1024;  // messages that wait; one more is kFull
};

struct PortReport {
  std::string name;
  uint64_t longest_queue;
  uint64_t sent, received;  // committed, since the port was made
  uint64_t queued() const { return sent - received; }
};

// The name of a stable port (paper 001, §3.2.3): a value of 8 bytes that means the same everywhere
// in its memory, and may stand in stable objects and in messages. It is no right by itself.
//
// Messages are sequences of 0 bytes to many pages. They arrive in the order of the commits that
// sent them. A message whose transaction aborts, or whose receiver dies, is at the front of the
// port again.
class StablePort {
 public:
  constexpr StablePort() = default;
  constexpr static StablePort of_raw(uint64_t reference) {
    StablePort port;
    port.reference_ = reference;
    return port;
  }
  constexpr uint64_t raw() const { return reference_; }
  constexpr explicit operator bool() const { return reference_ != 0; }
  friend constexpr bool operator==(StablePort a, StablePort b) {
    return a.reference_ == b.reference_;
  }
  friend constexpr bool operator!=(StablePort a, StablePort b) { return !(a == b); }

  // Makes a port in the current transaction; the caller has its receive right. A name has up to 47
  // bytes and is no other port's (kBusy); a port may have none.
  static StablePort create(const std::string& name = {}, const NewPort& how = {});
  // The port of this name, with a right to send to it; null if there is none. In a transaction or
  // outside of one (then in the current memory).
  static StablePort find(const std::string& name);
  // Removes the port and the messages in it. Takes the receive right.
  void destroy() const;

  // Puts `message` into the port's queue, once the transaction commits. kFull: the queue is as long
  // as it may be, or the memory is full; kNoRight; kConflict. Ports inside the message travel as
  // rights if its type names them:
  //
  //     template <typename Visit> void each_port(Visit visit) { visit(sender_port); … }
  //
  // `carried`: which right to them. Who gives the receive right away has it no more, after commit.
  template <typename T>
  void send(const T& message, Right carried = Right::kSend) const;
  // Takes the first message out of the queue, and with it the rights to the ports in it; for good
  // once the transaction commits. Waits for it as long as it takes.
  template <typename T>
  void receive(T& message) const {
    static_cast<void>(receive(message, kForever));
  }
  // Waits up to `wait_us`; false: no message came. Holds nothing meanwhile that would keep a sender
  // from committing (but what the transaction has open already, it keeps open). kRefused: a message
  // came that is no T; it is received, so commit drops it and abort puts it back.
  template <typename T>
  bool receive(T& message, uint64_t wait_us) const;

  void send_bytes(const void* bytes, uint64_t size_bytes,
                  const std::vector<PortInMessage>& ports = {}) const;
  bool receive_bytes(std::vector<char>* bytes, std::vector<PortInMessage>* ports,
                     uint64_t wait_us) const;

  // Of what is committed. In a transaction or outside of one.
  PortReport report() const;

 private:
  uint64_t reference_ = 0;
};
static_assert(sizeof(StablePort) == 8 && std::is_trivially_copyable_v<StablePort>);

// --- stable memory objects ---

struct MemoryObjectReport {
  std::string name;
  uint64_t quota_pages;
  uint64_t pages;         // it has now
  uint64_t objects;       // live ones in them
  uint64_t object_bytes;
};

// A logical stable memory inside the physical one (paper 001, §3.2.2): transactions run on its
// memory() as on any Memory, and open its objects and no others (kForeign). It takes pages from the
// physical memory up to its quota (then kFull), and has roots of its own.
class MemoryObject {
 public:
  MemoryObject() = default;
  explicit operator bool() const { return reference_ != 0; }

  // Makes one in the current transaction. A name has 1 to 47 bytes and is no other's (kBusy).
  static MemoryObject create(const std::string& name, uint64_t quota_pages);
  // False if there is none. In a transaction or outside of one (then in the current memory).
  static MemoryObject find(const std::string& name);
  // Removes it with all its objects; its pages are free once the transaction has committed. kBusy:
  // a task has it.
  void destroy() const;

  // To run transactions on, once the creating one has committed. One that a task has is private to
  // it: kNoRight for anybody else.
  Memory memory() const;
  MemoryObjectReport report() const;

 private:
  friend class Inside;
  Memory physical_;
  uint64_t reference_ = 0;
};

// --- stable tasks ---

struct TaskReport {
  std::string name, entry;
  uint64_t starts;    // how often a processor began to run it
  bool running;       // just now
  bool finished;      // its entry function has returned
  uint32_t pid;       // of the last start
};

// An execution environment that outlives the processors that run it (paper 001, §3.2.1): rights to
// ports, a memory object of its own, and the name of the function where it begins.
class StableTask {
 public:
  StableTask() = default;
  explicit operator bool() const { return reference_ != 0; }

  // Makes one in the current transaction. `memory`, if given, is private to it from then on.
  static StableTask create(const std::string& name, const std::string& entry,
                           const MemoryObject& memory = {});
  // Null if there is none. In a transaction or outside of one (then in the current memory).
  static StableTask find(const std::string& name);
  // The one that the calling thread runs, or null.
  static StableTask current();

  // Hands it a right that the caller has; the receive right leaves the caller.
  void give(StablePort port, Right right) const;
  // Runs from its entry again, though that has returned.
  void make_ready() const;
  // Removes it, with the ports it receives from. Its memory object stays and is nobody's. kBusy: it
  // runs, maybe in the caller.
  void destroy() const;
  TaskReport report() const;

  // Whether the TaskRunner that runs it wants its entry function to return.
  static bool should_stop();

 private:
  friend class Inside;
  uint64_t reference_ = 0;
};

// What a task runs; by this name all programs that may run it know it.
using EntryFunction = std::function<void(const StableTask&)>;
void register_entry(const std::string& name, EntryFunction function);

// Runs a task of the current memory in the calling thread, from its entry point, with its rights,
// and with its memory as the current one. One processor at a time: while another thread or process
// runs it, waits up to `wait_us` for that one to die. True: the entry function has returned, now or
// before; false: another processor runs it. What the entry function throws is thrown on, and the
// task may be run again. kNoRight: no such task; kRefused: its entry is not registered here.
bool run_task(const std::string& name, uint64_t wait_us = 0);

// Sees to it that a task runs, here or in another process: takes over within milliseconds after the
// death of the processor that ran it. A failing entry function is started again after a pause.
class TaskRunner {
 public:
  TaskRunner(const Memory& memory, const std::string& task);
  ~TaskRunner();  // stop(), and waits for the entry function to return
  TaskRunner(const TaskRunner&) = delete;
  TaskRunner& operator=(const TaskRunner&) = delete;

  void stop();
  bool done() const;  // the entry function has returned: nothing more to do
  std::string last_failure() const;

 private:
  struct Runner;
  std::unique_ptr<Runner> runner_;
};

// --- templates ---

namespace detail {

template <typename T, typename = void>
struct NamesItsPorts : std::false_type {};
template <typename T>
struct NamesItsPorts<T, std::void_t<decltype(std::declval<T&>().each_port(
                            std::declval<void (*)(StablePort&)>()))>> : std::true_type {};

[[noreturn]] void raise_wrong_size(uint64_t has_bytes, uint64_t wanted_bytes);

}  // namespace detail

template <typename T>
void StablePort::send(const T& message, Right carried) const {
  static_assert(std::is_trivially_copyable_v<T>, "a message is copied byte by byte");
  std::vector<PortInMessage> ports;
  const auto offset_of = [&](const StablePort& port) {
    return static_cast<uint32_t>(reinterpret_cast<const char*>(&port) -
                                 reinterpret_cast<const char*>(&message));
  };
  if constexpr (std::is_same_v<T, StablePort>) {
    ports.push_back({0, carried});
  } else if constexpr (detail::NamesItsPorts<T>::value) {
    const_cast<T&>(message).each_port([&](StablePort& port) {
      if (port) ports.push_back({offset_of(port), carried});
    });
  }
  static_cast<void>(offset_of);
  send_bytes(&message, sizeof(T), ports);
}

template <typename T>
bool StablePort::receive(T& message, uint64_t wait_us) const {
  static_assert(std::is_trivially_copyable_v<T>, "a message is copied byte by byte");
  std::vector<char> bytes;
  if (!receive_bytes(&bytes, nullptr, wait_us)) return false;
  if (bytes.size() != sizeof(T)) detail::raise_wrong_size(bytes.size(), sizeof(T));
  memcpy(static_cast<void*>(&message), bytes.data(), sizeof(T));
  return true;
}

}  // namespace auxin::stm
