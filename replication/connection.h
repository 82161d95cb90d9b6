// SPDX-License-Identifier: Apache-2.0
//
// A replicated connection: the MetaSocket behind an accepted (or opened) stream socket.
//
// In the leader it is the kernel's socket, with every byte in the log: received bytes land in
// stable memory first, are published, then given to the server; bytes to be sent are published,
// then handed to the kernel. In a follower the descriptor is virtual: receives come from the log,
// sends are compared with the log and dropped. The follower holds a duplicate of the socket, so it
// can go on from the kernel's byte counts when it becomes the leader.
//
//   leader:   recv → landing buffer → payload, entry Receive → server
//             send → payload, entry Send → kernel → outcome of the entry
//   follower: entry Receive → recv;   send → compare with entry Send, wait for its outcome
//
// A client may take its reply as late as it likes: followers that wait for the outcome keep the
// reply's bytes themselves and give the log's entry free, so that nobody waits for that client.
//
// Invariants:
//  (1) Log order of a connection's entries is stream order, in each direction.
//  (2) At most the last Send entry of a connection is not wholly in the kernel.
//  (3) Bytes that were consumed from the kernel and are not in the log are in the landing buffer.
//
// Thread safety: any thread. receive and send each hold a lock of their direction while they run
// (the sending one covers the kept bytes too); queues are under the replay lock. Source: DESIGN 4.4
// and 4.5.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "libmeta_os/facets.h"
#include "libmeta_req/request_tracker.h"
#include "replication/group_state.h"
#include "replication/kernel_socket.h"
#include "replication/log_entry.h"
#include "replication/replay.h"

namespace auxin::replication {

class Connection final : public os::MetaSocket {
 public:
  static Connection* find(uint64_t number);  // null: unknown, or the server has closed it
  // The connection behind a descriptor, or null.
  static Connection* of(int fd);
  // Pump's thread: whether the log has this socket (SO_COOKIE) as a connection, closed or not.
  static bool is_logged(uint64_t cookie);
  // The same: slots that a dead leader had claimed and not yet logged.
  static void free_slots_not_logged();
  // Calls visit for every connection of this process; for each that the log has not closed.
  static void for_each(void (*visit)(Connection&, void*), void* context);
  static void for_each_open(void (*visit)(Connection&, void*), void* context);

  // Leader: a descriptor fresh from accept or connect becomes a replicated connection. The entry is
  // published before this returns. Null: no slot is free.
  static Connection* make_accepted(int fd, uint64_t listener, const sockaddr* peer,
                                   socklen_t peer_size);
  static Connection* make_opened(int fd, const sockaddr* peer, socklen_t peer_size,
                                 bool in_progress);

  // Steward: a connected socket that nobody has logged; the entry makes it everyone's, this
  // process's pump included. Takes `fd`.
  static void log_adopted(int fd, uint64_t listener, const sockaddr* peer, socklen_t peer_size);

  // Pump: entries of the log become objects. Under the replay lock.
  static void accepted(uint64_t position, const stm::LogEntry& entry);
  static void connected(uint64_t position, const stm::LogEntry& entry);
  void note_received(const stm::LogEntry& entry);
  void note_send(uint64_t position, const stm::LogEntry& entry);
  void note_event(const stm::LogEntry& entry);
  PositionQueue& queue() { return queue_; }
  WaitQueue& waiters() { return waiters_; }
  PositionQueue& send_order() { return send_order_; }  // sends not yet reached here, by log order
  WaitQueue& senders() { return senders_; }            // threads that wait for their turn to send
  bool take_polled() { bool was = polled_; polled_ = false; return was; }
  void set_polled() { polled_ = true; }
  // Whether some connection has had a chunk for its taking since the last call, and no thread came
  // for it: the ORB does not watch it. Under the replay lock.
  static bool some_unread_locked();
  bool closed_here() const { return closed_here_; }

  // Follower: the server's accept (or connect) takes it; returns the descriptor.
  int take_descriptor(int own_fd);

  // Steward, after the fence: the socket becomes this process's own. fetch: gets the duplicate from
  // the holder if there is none yet. recover_input / recover_output: DESIGN 4.5.
  void fetch();
  void recover_input();
  void recover_output();
  // Housekeeping: bytes that a dead leader published and nobody could hand over yet. Leaves it to a
  // thread that is sending.
  void flush_if_idle();
  void flush_before_end();
  bool needs_flush() const { return unflushed_begin_ < unflushed_end_; }
  // In a restored process, where all other threads stand still: the socket comes under the number
  // `fd` again. False: it is not this connection's.
  bool fetch_again(int fd, bool close_on_exec);
  // In a process that was restored to go back: what the log said of it is no more, nor is its peer.
  void leave_history();
  // In a process that was restored from a leader's image and follows now: what a leader hands over.
  void follow_again() { unflushed_begin_ = unflushed_end_ = 0; }
  static bool table_is_steady();  // no thread is changing which connections there are
  void publish_holder();  // this process's descriptor, for followers to fetch

  uint64_t number() const { return number_; }
  uint64_t cookie() const;
  req::RequestTracker& tracker() { return tracker_; }
  void set_non_blocking(bool non_blocking) { non_blocking_ = non_blocking; }  // as accept4 made it

  // os::MetaSocket
  ssize_t receive(int fd, msghdr* message, int flags, os::CallSite site) override;
  ssize_t send(int fd, const msghdr* message, int flags, os::CallSite site) override;
  int accept(int fd, sockaddr*, socklen_t*, int, os::CallSite) override;
  int shutdown(int fd, int how) override;
  int close(int fd, bool last) override;
  int fcntl(int fd, int command, long argument) override;
  int ioctl(int fd, unsigned long request, void* argument) override;
  int setsockopt(int fd, int level, int name, const void* value, socklen_t length) override;
  int getsockopt(int fd, int level, int name, void* value, socklen_t* length) override;
  int getpeername(int fd, sockaddr* address, socklen_t* length) override;
  int getsockname(int fd, sockaddr* address, socklen_t* length) override;
  short readiness(short events) override;  // takes the replay lock
  short readiness_locked(short events, bool* undeliverable);

 private:
  class LateSend;

  bool is_virtual() const;  // a follower's: the kernel's socket is the leader's
  static Connection* make(uint64_t number, int slot);
  bool over() const;
  ConnectionSlot& shared();
  // False: this process follows, since a moment ago, and nothing was done.
  bool receive_live(int fd, msghdr* message, int flags, ssize_t* result);
  ssize_t receive_replayed(msghdr* message, int flags, bool wait, bool* live);
  ssize_t receive_anyhow(int fd, msghdr* message, int flags, bool wait);
  ssize_t receive_agreed(int fd, msghdr* message, int flags);
  ssize_t deliver(const msghdr* message, const char* data, size_t size);
  bool send_live(int fd, const char* data, size_t size, int flags, ssize_t* sent);  // the same
  uint64_t publish_send(const char* data, size_t size, bool non_blocking);
  bool hand_over(int fd, const char* data, size_t size, int flags, ssize_t* sent,
                 std::optional<LateSend>* late);
  bool hand_over_rest(int fd, const char* data, size_t size, int flags, ssize_t* sent);
  ssize_t send_replayed(const char* data, size_t size, bool* live);
  uint32_t await_outcome(uint64_t position, const stm::LogEntry& entry);
  uint32_t await_late_outcome(uint64_t position, const stm::LogEntry& entry);
  bool outcome_of_send(uint64_t position, uint32_t* outcome);
  void settle_send(uint64_t position, uint32_t outcome);
  void note_outcome_of_last_send(const stm::LogEntry& next);
  bool keep_send(uint64_t position, uint64_t payload_offset, uint32_t size);
  void forget_kept_before(uint64_t position);
  bool flush();
  bool unread_locked();
  void track(const char* data, size_t size);
  void log_receive(const char* data, size_t size);
  bool compare(const stm::LogEntry& entry, const char* data, size_t size);
  int connect_error(int fd);

  uint64_t number_ = 0;
  int slot_ = -1;
  int held_fd_ = -1;            // the socket (follower: the duplicate), before the server has it
  int fd_ = -1;                 // the server's descriptor, -1: not taken or closed
  bool opened_here_ = false;    // by connect
  bool connecting_ = false;     // what comes of it has not been asked yet
  bool closed_in_log_ = false;
  bool closed_here_ = false;    // the server closed it in this replica
  bool read_shut_ = false;      // shutdown(SHUT_RD), or an end was delivered
  bool write_shut_ = false;
  bool non_blocking_ = false;
  bool lost_ = false;           // the socket could not be had: behaves as reset
  bool polled_ = false;
  socklen_t peer_size_ = 0;
  sockaddr_storage peer_{};

  PositionQueue queue_;         // Receive and ReceiveEnd entries not yet delivered
  WaitQueue waiters_;
  PositionQueue send_order_;
  WaitQueue senders_;
  int readers_ = 0;             // threads that wait for a chunk
  uint64_t unread_head_ = kNoPosition;  // the chunk that lay there at the last look
  uint32_t head_taken_ = 0;     // bytes of the head chunk already delivered
  bool at_end_ = false;         // the head was a ReceiveEnd: it stays
  int end_error_ = 0;

  uint64_t in_logged_ = 0;      // stream bytes in the log
  uint64_t out_logged_ = 0;     // stream bytes that Send entries promise
  uint64_t last_send_ = kNoPosition;
  uint64_t last_send_offset_ = 0;
  uint64_t last_send_payload_ = 0;  // of an entry that another leader made
  uint32_t last_send_size_ = 0;
  bool last_send_non_blocking_ = false;
  uint8_t last_send_error_ = 0;     // errno, once it has ended
  uint64_t unflushed_begin_ = 0, unflushed_end_ = 0;
  std::atomic<uint64_t> kept_send_{kNoPosition};  // whose bytes this process keeps for itself
  std::unique_ptr<char[]> kept_bytes_;
  LateSend* late_sends_ = nullptr;  // threads that wait for an outcome; under the replay lock

  FutexLock receive_lock_;
  FutexLock send_lock_;
  req::RequestTracker tracker_;
  Connection* older_ = nullptr;  // of the same slot
};

}  // namespace auxin::replication
