// SPDX-License-Identifier: Apache-2.0
//
// A transaction that runs: what a thread holds between Begin and Commit or Abort (paper 001,
// §2.2.2), and the two-phase commit between the banks.
//
// The idea. An open object is worked on in bank A, while bank B keeps what it was. Before the first
// store to it, its name stands in the descriptor as an intent. Commit:
//
//   1  bank A:  new header (version + 1, checksum of the contents)   for every object
//      fence
//   2  both:    state word := committed                               the transaction is decided
//      fence
//   3  bank B := bank A                                               for every object
//      fence
//   4  both:    state word := idle, next serial                       the descriptor is free again
//
// A death before 2 is complete leaves B good, after it A: recovery (recovery.h) copies the one to
// the other. Abort copies B to A, then does step 4. No state is ever torn, for it is one word.
//
// Isolation: an object is open in one transaction at a time, settled by its owner word (board.h),
// held from open until the end (strict two-phase locking: histories are serialisable).
//
// Thread safety: an activation belongs to the thread that made it. Blocks only where it says so.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "auxin/stm_types.h"
#include "stmemu/isolated/judged_ahead.h"
#include "stmemu/memory/object.h"
#include "stmemu/memory/page_table.h"
#include "stmemu/memory/physical_memory.h"
#include "stmemu/transaction/allocator.h"

namespace auxin::stm {

class Connection;
struct Change;
struct Channel;

// How long open() waits for an object that another transaction has open.
struct Wait {
  uint64_t timeout_us = 0;  // 0: not at all

  static constexpr Wait none() { return {0}; }
  static constexpr Wait up_to_us(uint64_t timeout_us) { return {timeout_us}; }
};

enum class OpenFor : uint8_t { kReading, kChanging };

class Activation {
 public:
  // Takes a context for the calling thread; `descriptor` 0: one of the memory's own. kBusy if every
  // context is taken, kFull if there is no room for a descriptor.
  static Status make(PhysicalMemory& memory, std::unique_ptr<Activation>* made);
  ~Activation();  // aborts what still runs
  Activation(const Activation&) = delete;
  Activation& operator=(const Activation&) = delete;

  // Runs on `descriptor` from the next begin on; 0: on the memory's own again. Not while active.
  Status use_descriptor(uint64_t descriptor);
  // Whether use_descriptor(descriptor) would change anything.
  bool wants_descriptor(uint64_t descriptor) const {
    return descriptor_ != (descriptor != 0 ? descriptor : own_descriptor_);
  }
  void set_realm(Realm realm) { realm_ = realm; }
  Realm realm() const { return realm_; }
  // What a violation does (paper 001, §2.2.1).
  void set_policy(Policy policy) { policy_ = policy; }
  // While true, the memory's own objects (ports, tasks …) may be opened, in realm 0.
  void set_system(bool system) { system_ = system; }
  // While true, what would be a violation is an error like others, for the caller to judge: the
  // accesses are the library's own.
  void set_quiet(bool quiet) { quiet_ = quiet; }

  bool active() const { return active_; }

  Status begin();
  // Does all of the above or nothing of it. Fails only if an object is damaged in both banks or the
  // transaction is not active; it is then aborted.
  Status commit();
  Status abort();

  // Opens the object at `address`. Opening again what is open is nothing; what was closed is open
  // again. kConflict (after the wait), kDeadlock, kNotStable, kFreed, kForeign, kDamaged. `life`:
  // only if it is that life of the object (ObjectHeader::life).
  Status open(uint64_t address, OpenFor purpose, Wait wait, const uint16_t* life = nullptr);
  Status close(uint64_t address);

  // A new object, zeroed and open. `size_bytes` > 0.
  Status allocate(uint64_t size_bytes, ObjectKind kind, uint32_t type, uint64_t* address);
  // An object that is open for changing, or a descriptor that is not active; gone at commit.
  Status free(uint64_t address);

  // Accesses that are checked against what is open and how long it is.
  Status read(uint64_t address, uint64_t offset, void* to, uint64_t size_bytes);
  Status write(uint64_t address, uint64_t offset, const void* from, uint64_t size_bytes);
  // A violation unless the object is open.
  Status demand_open(uint64_t address, OpenFor purpose);
  bool is_open(uint64_t address);
  // Of an object that is open. `life`: which of the lives that began at this address.
  Status describe(uint64_t address, uint64_t* size_bytes, uint16_t* life);

  // --- the controller's (mode kIsolated) ---
  struct ForeignTransaction {
    uint64_t descriptor, serial, activity;
    JudgedAhead::Expected judged;  // what was judged ahead for it
  };
  // Commits a client's changes, under the claims of `activity`; contents from its view. `serial`
  // gets the descriptor's next one. kConflict: something is not as the client saw it; or `count` is
  // 0, which asks only whether it has been carried out already.
  Status carry_out(const ForeignTransaction& transaction, const Change* changes, uint64_t count,
                   const char* view, JudgedAhead* ahead, uint64_t* serial);
  // Gives back runs without live objects; whether there was one. Not while active.
  bool reclaim_empty_runs();

  // kWindow: opens the page at `address` once more if it is one of an open object. False: it isn't.
  bool show_again(uint64_t address, bool writing);

  // --- for the memory's own objects (entities/) ---
  // Whether this transaction has changed or made the object at `address`, which is one of that kind
  // and type. (What is committed can be read without a claim: memory/realm.h.)
  bool changes(uint64_t address, ObjectKind kind, uint32_t type);
  // Lets go of an object that was only read, as if it had never been opened: what was read of it is
  // no longer guarded. Nothing if it was changed, or is not this transaction's.
  void forget(uint64_t address);
  // When the transaction has ended, whichever way: wakes who sleeps on this signal of the board.
  void signal_at_end(uint32_t signal) { signals_ |= uint64_t{1} << signal % kSignals; }
  // Commit then gives back the pages of memory objects that are no more.
  void reclaim_realms_at_commit() { reclaims_realms_ = true; }

  // What the last operation that failed has to say.
  const std::string& message() const { return message_; }

  PhysicalMemory& memory() { return memory_; }
  uint64_t descriptor() const { return descriptor_; }
  uint64_t objects() const { return touched_.size(); }

 private:
  enum class Shown : uint8_t { kNo, kForReading, kForChange };  // its pages (kWindow)

  // One cache line.
  struct Touched {
    Touched() {}  // filled in place

    Spot spot;
    uint64_t where;        // the hash of its place, for checksums
    ObjectHeader becomes;  // as commit makes it; until then its version is the one from before
    bool changes = false, allocated = false, freed = false, open = false;
    bool adopted = false;    // under another's claim, whose it stays
    bool dissolved = false;  // its run is gone, and its owner word with it
    Shown shown = Shown::kNo;
    uint8_t size_class;
  };
  static_assert(sizeof(Touched) == 64);

  Activation(PhysicalMemory& memory, uint32_t context)
      : memory_(memory),
        context_(context),
        mine_(memory.board().contexts[context]),
        direct_(memory.banks().direct()),
        carrying_(memory.mode() == Mode::kIsolated && memory.connection() == nullptr),
        remote_(memory.connection()),
        allocator_(memory) {}

  Context& context() const { return mine_; }
  [[gnu::cold]] Status fail(Status status, const std::string& why);
  [[gnu::cold]] Status fail_at(Status status, uint64_t address, const std::string& why);
  [[gnu::cold]] Status not_active();
  inline Touched& add_to_list(const Place& place);
  inline Touched* find(uint64_t header);
  inline Status find_open(uint64_t address, OpenFor purpose, const char* verb, Touched** touched);
  Status find_any(uint64_t address, Touched** touched);
  [[gnu::cold]] Status fail_not_open(uint64_t address, const char* verb, const char* why);
  template <typename AnyBanks>
  Status touch(AnyBanks& banks, const Place& place, Wait wait, Touched** touched);
  [[gnu::cold]] Status fail_claim(Status status, uint64_t address);
  [[gnu::cold]] Status fail_overtaken();
  [[gnu::cold]] Status fail_lost();
  [[gnu::cold]] bool mend(Place place, ObjectHeader* header);
  template <typename AnyBanks>
  Status make_usable(AnyBanks& banks, Touched& touched, OpenFor purpose, const uint16_t* life);
  template <typename AnyBanks>
  Status open_in(AnyBanks banks, uint64_t address, OpenFor purpose, Wait wait,
                 const uint16_t* life);
  [[gnu::cold]] Status refuse(const Touched& object, const uint16_t* life);
  Status open_to_free(const Place& place, Touched** touched);
  Status free_descriptor(const Place& place);
  inline Status claim(uint64_t header, size_t index, Wait wait);
  [[gnu::cold]] Status claim_of_other(uint64_t header, size_t index, Wait wait);
  bool try_claim(uint64_t header, size_t index, uint64_t* holder);
  bool closes_a_circle(uint64_t header) const;
  inline void release_claim(uint64_t header);
  template <typename AnyBanks>
  inline Status intend(AnyBanks& banks, Touched& touched, Intent::Deed deed);
  [[gnu::cold]] Status add_block();
  void take_blocks(std::vector<uint64_t> blocks);
  Status adopt(const Change& change, const ForeignTransaction& transaction, JudgedAhead* ahead);
  Status commit_remotely();
  bool copy_into_view(const Place& place, ObjectHeader* header);
  void foresee_remotely(const Place& place, OpenFor purpose);
  void closed_remotely(const Touched& touched);
  Status make_own_descriptor();
  [[gnu::cold]] Status begin_on_programs_descriptor();
  [[gnu::cold]] Status refuse_on_standby(uint64_t holder);
  template <typename AnyBanks>
  void commit_into(AnyBanks banks);
  void settle_freed();
  std::string undo();
  inline void end();
  [[gnu::cold]] void wake_waiters();
  void raise_signals();
  void dissolve_large(Touched& touched);
  void show(Touched& touched, OpenFor purpose) {
    if (__builtin_expect(memory_.window() != nullptr, 0)) show_pages(touched, purpose);
  }
  void hide(Touched& touched) {
    if (__builtin_expect(touched.shown != Shown::kNo, 0)) hide_pages(touched);
  }
  // From here on what is in the banks is what is committed: no late store of the program gets in.
  void hide_all() {
    if (__builtin_expect(memory_.window() != nullptr, 0)) hide_all_pages();
  }
  void show_pages(Touched& touched, OpenFor purpose);
  void hide_pages(Touched& touched);
  void hide_all_pages();

  PhysicalMemory& memory_;
  const uint32_t context_;
  Context& mine_;                // of the board
  const bool direct_;            // stores are instructions (Banks::direct)
  uint64_t descriptor_ = 0;
  uint64_t own_descriptor_ = 0;
  uint64_t serial_ = 0;          // of the running transaction, or of the next
  uint64_t activity_ = 0;
  uint64_t intents_ = 0;         // written by it
  uint64_t intents_room_ = 0;    // how many fit into the descriptor and its blocks
  std::vector<uint64_t> blocks_; // of the descriptor
  std::vector<Touched> touched_;
  const bool carrying_;           // the controller's: clients' transactions, its own for them
  Connection* remote_ = nullptr;  // isolated client: who stores for us
  Channel* channel_ = nullptr;
  bool hints_ = false;            // … of the object that is being opened
  uint64_t last_address_ = 0;     // of touched_[last_], to find it without looking
  size_t last_ = 0;
  bool active_ = false;
  Realm realm_ = 0;
  Policy policy_ = Policy::kAbort;
  bool system_ = false;
  bool quiet_ = false;
  uint64_t signals_ = 0;          // bits: to be raised at the end
  bool reclaims_realms_ = false;
  bool frees_ = false;            // one of touched_ is freed
  std::string message_;

  Allocator allocator_;
};

}  // namespace auxin::stm
