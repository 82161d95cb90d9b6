// SPDX-License-Identifier: Apache-2.0
#include "stmemu/transaction/activation.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "stmemu/check.h"
#include "stmemu/isolated/connection.h"
#include "stmemu/transaction/contexts.h"
#include "stmemu/transaction/descriptor.h"
#include "stmemu/transaction/recovery.h"

namespace auxin::stm {
namespace {

constexpr uint64_t kMaxObjects = OwnerWord::kIndexMask;  // of one transaction
constexpr uint64_t kClaimOnly = OwnerWord::kIndexMask;   // an index of no object: only claimed
constexpr uint64_t kCacheLineBytes = 64;
constexpr uint64_t kPrefetchBytes = 1024;  // of an object's contents, when it is opened

void wake_all(std::atomic<uint32_t>& word) {
  const int error = errno;
  syscall(SYS_futex, &word, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
  errno = error;
}

std::string hexadecimal(uint64_t number) {
  char text[24];
  snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

}  // namespace

// --- life ---

Status Activation::make(PhysicalMemory& memory, std::unique_ptr<Activation>* made) {
  const uint32_t index = take_context(memory);
  if (index == kContexts) return Status::kBusy;
  made->reset(new Activation(memory, index));
  Activation& activation = **made;
  if (activation.remote_ != nullptr) {
    const Status opened = activation.remote_->take_channel(index, &activation.channel_);
    if (opened != Status::kOk) {
      activation.channel_ = nullptr;
      made->reset();
      return opened;
    }
    activation.allocator_.ask(activation.remote_, activation.channel_);
    activation.own_descriptor_ = activation.channel_->descriptor;
    return activation.use_descriptor(0);
  }
  activation.own_descriptor_ = activation.context().own_descriptor.load(std::memory_order_acquire);
  Status status = Status::kOk;
  if (activation.own_descriptor_ == 0) status = activation.make_own_descriptor();
  if (status == Status::kOk) status = activation.use_descriptor(0);
  if (status != Status::kOk) made->reset();
  return status;
}

Activation::~Activation() {
  if (active_) static_cast<void>(abort());
  if (channel_ != nullptr) remote_->give_back(channel_);
  give_context_back(memory_, context_);
}

// A descriptor is made in a transaction (paper 001, §2.2.2), and the first one in the transaction
// of the descriptor that the memory was made with.
Status Activation::make_own_descriptor() {
  Findings findings;
  recover_boot_descriptor(memory_, &findings);
  uint64_t address = 0;
  descriptor_ = kBootDescriptorOffset;
  DescriptorState state;
  CHECK(read_state(memory_, descriptor_, &state), "the boot descriptor was recovered");
  serial_ = state.serial;
  Status status = begin();
  if (status == Status::kOk) {
    status = allocate(kDescriptorBytes, ObjectKind::kDescriptor, kOwnDescriptorType, &address);
  }
  if (status == Status::kOk) {
    status = commit();
  } else if (active_) {
    static_cast<void>(abort());
  }
  context().descriptor.store(0, std::memory_order_release);
  memory_.board().boot_lock.unlock(plain_mutex_calls());
  if (status != Status::kOk) return status;
  own_descriptor_ = address;
  context().own_descriptor.store(address, std::memory_order_release);
  return Status::kOk;
}

Status Activation::use_descriptor(uint64_t descriptor) {
  CHECK(!active_, "a descriptor is changed between transactions");
  Place place;
  if (descriptor != 0 &&
      (!locate(memory_, descriptor, &place) || place.use != PageUse::kDescriptors)) {
    return fail_at(Status::kNotStable, descriptor, "no transaction descriptor");
  }
  descriptor_ = descriptor != 0 ? descriptor : own_descriptor_;
  DescriptorState state;
  if (!read_state(memory_, descriptor_, &state)) {
    return fail(Status::kDamaged, "transaction descriptor " + hexadecimal(descriptor_) +
                                      " is damaged in both banks");
  }
  serial_ = state.serial;
  blocks_ = read_blocks(memory_, descriptor_);
  return Status::kOk;
}

// --- messages and violations ---

Status Activation::fail(Status status, const std::string& why) {
  message_ = why;
  if (is_violation(status) && !quiet_) {
    memory_.board().statistics.violations.fetch_add(1, std::memory_order_relaxed);
    if (policy_ == Policy::kHalt) {
      const std::string line = "auxin: stable memory: access violation, halted: " + why + "\n";
      [[maybe_unused]] const ssize_t written = ::write(2, line.data(), line.size());
      ::abort();
    }
    if (active_) static_cast<void>(abort());
    message_ = why + "; the transaction is aborted";
  }
  return status;
}

Status Activation::fail_at(Status status, uint64_t address, const std::string& why) {
  return fail(status, "object " + hexadecimal(address) + ": " + why);
}

Status Activation::not_active() {
  return fail(Status::kNotActive, "the transaction is not active: begin comes first, and commit or "
                                  "abort ends it");
}

// --- begin, commit, abort ---

Status Activation::begin() {
  if (active_) return fail(Status::kNested, "the transaction has begun already");
  Context& mine = context();
  const uint64_t activation = mine.activations.load(std::memory_order_relaxed) + 1;
  mine.activations.store(activation, std::memory_order_relaxed);
  activity_ = OwnerWord::activity(context_, activation);
  // (An isolated client's death leaves nothing in the banks, so there is nothing to recover.)
  mine.descriptor.store(remote_ == nullptr ? descriptor_ : 0, std::memory_order_relaxed);
  // Set before anything is claimed, cleared after everything is done: a death in between is seen.
  mine.active.store(activity_, std::memory_order_release);
  active_ = true;
  intents_ = 0;
  // … and before this is read: whoever takes the memory away looks here after closing it.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const uint64_t node = memory_.board().node.holder.load(std::memory_order_acquire);
  if (__builtin_expect(!HolderWord::admits(node, mine.pid.load(std::memory_order_relaxed)), 0) &&
      !carrying_) {
    end();
    return fail(Status::kStandby, why_standby(node));
  }
  if (descriptor_ == own_descriptor_ || descriptor_ == kBootDescriptorOffset || carrying_) {
    return Status::kOk;
  }

  // A descriptor of the program's own runs one transaction at a time: this one claims it.
  Place place;
  ObjectHeader header;
  Status status = locate(memory_, descriptor_, &place) && place.use == PageUse::kDescriptors
                      ? claim(place, touched_.size(), Wait::none())
                      : Status::kNotStable;
  if (status == Status::kOk &&
      (sound_object(memory_, place, &header) == Soundness::kLost || !header.live() ||
       header.kind() != ObjectKind::kDescriptor || header.type() == kOwnDescriptorType)) {
    status = Status::kFreed;
  }
  if (status == Status::kOk) {
    touched_.emplace_back(place, header);
    DescriptorState state;
    if (read_state(memory_, descriptor_, &state)) {
      serial_ = state.serial;
      blocks_ = read_blocks(memory_, descriptor_);
      return Status::kOk;
    }
    status = Status::kDamaged;
  }
  end();
  return fail(status, status == Status::kConflict
                          ? "the transaction's descriptor is active elsewhere"
                          : "the transaction's descriptor is not one, or is no more");
}

void Activation::prepare_headers() {
  for (Touched& touched : touched_) {
    if (!touched.changes) continue;
    ObjectHeader& header = touched.becomes;
    header.version = touched.header.version + 1;
    if (touched.freed) header.describe(0, ObjectKind::kUser, ObjectState::kFree);
    header.checksum =
        object_checksum(memory_.seed(), touched.place.generation, touched.place.header, header,
                        memory_.banks().a.at(touched.place.contents));
  }
}

// The commit proper, into the banks as they are stored into.
template <typename AnyBanks>
void Activation::commit_into(AnyBanks banks) {
  prepare_headers();
  for (const Touched& touched : touched_) {
    if (!touched.changes) continue;
    store_header(banks.a, touched.place, touched.becomes);
  }
  banks.fence();
  store_both(banks, descriptor_,
             pack_state(memory_.seed(), descriptor_, {serial_, Phase::kCommitted}));
  banks.fence();
  for (const Touched& touched : touched_) {
    if (touched.changes) copy_object(banks.a, banks.b, touched.place, touched.becomes);
  }
  banks.fence();
  ++serial_;
  store_both(banks, descriptor_,
             pack_state(memory_.seed(), descriptor_, {serial_, Phase::kIdleAfterCommit}));
  banks.fence();
}

Status Activation::commit() {
  if (!active_) return not_active();
  if (remote_ != nullptr) return commit_remotely();
  hide_all();
  if (intents_ > 0) {
    if (__builtin_expect(memory_.banks().direct(), 1)) {
      commit_into(memory_.banks().directly());
    } else {
      commit_into<Banks&>(memory_.banks());
    }
  }
  for (Touched& touched : touched_) {
    if (!touched.freed) continue;
    if (touched.place.size_class == kLargeClass) {
      dissolve_large(touched);
    } else {
      memory_.board().frees[touched.place.size_class].fetch_add(1, std::memory_order_relaxed);
    }
  }
  if (__builtin_expect(reclaims_realms_, 0)) {
    static_cast<void>(allocator_.reclaim(activity_ | kClaimOnly));
  }
  end();
  return Status::kOk;
}

Status Activation::abort() {
  if (!active_) return not_active();
  hide_all();
  std::string damage;
  if (intents_ > 0 && remote_ == nullptr) {
    Banks& banks = memory_.banks();
    for (const Touched& touched : touched_) {
      if (!touched.changes) continue;
      ObjectHeader before;
      if (good_copy(memory_, banks.b, touched.place, &before)) {
        copy_object(banks.b, banks.a, touched.place, before);
      } else {
        damage = name_of_object(touched.place, &touched.header) +
                 ": what it held before the transaction is damaged";
        memory_.board().statistics.losses.fetch_add(1, std::memory_order_relaxed);
      }
    }
    banks.fence();
    store_state(memory_, descriptor_, {++serial_, Phase::kIdle});
    banks.fence();
  }
  for (Touched& touched : touched_) {
    if (touched.allocated && touched.place.size_class == kLargeClass && remote_ == nullptr) {
      dissolve_large(touched);
    }
  }
  end();
  return damage.empty() ? Status::kOk : fail(Status::kDamaged, damage);
}

// Everything that was claimed is void once `active` is no longer this activity; the words are
// cleared first, so that the next one needs not look here.
void Activation::end() {
  for (const Touched& touched : touched_) {
    if (!touched.dissolved && !touched.adopted) release_claim(touched.place);
  }
  touched_.clear();
  last_address_ = 0;
  Context& mine = context();
  mine.active.store(0, std::memory_order_release);
  // Whoever begins to wait just now looks again soon (claims.cpp).
  if (mine.waiters.load(std::memory_order_relaxed) != 0) {
    mine.releases.fetch_add(1, std::memory_order_release);
    wake_all(mine.releases);
  }
  active_ = false;
  if (__builtin_expect(signals_ != 0, 0)) raise_signals();
  reclaims_realms_ = false;
}

void Activation::raise_signals() {
  for (uint32_t index = 0; index < kSignals; ++index) {
    if ((signals_ >> index & 1) == 0) continue;
    Signal& signal = memory_.board().signals[index];
    signal.raised.fetch_add(1, std::memory_order_seq_cst);
    if (signal.waiters.load(std::memory_order_seq_cst) != 0) wake_all(signal.raised);
  }
  signals_ = 0;
}

bool Activation::reclaim_empty_runs() {
  if (begin() != Status::kOk) return false;
  const bool reclaimed = allocator_.reclaim(activity_ | kClaimOnly);
  end();
  return reclaimed;
}

// While this transaction still owns the object, so that nobody else can be in its run.
void Activation::dissolve_large(Touched& touched) {
  touched.dissolved = true;
  PageTable(memory_).dissolve_run(touched.place.header / kPageBytes);
}

// --- claims ---

void Activation::release_claim(const Place& place) {
  memory_.owner_word(place.header).store(0, std::memory_order_release);
}

Status Activation::claim(const Place& place, size_t index, Wait wait) {
  uint64_t nobody = 0;
  if (__builtin_expect(memory_.owner_word(place.header)
                           .compare_exchange_strong(nobody, activity_ | index,
                                                    std::memory_order_acq_rel), 1)) {
    return Status::kOk;
  }
  return claim_of_other(place, index, wait);
}

// --- open and close ---

Activation::Touched* Activation::find(const Place& place) {
  const uint64_t word = memory_.owner_word(place.header).load(std::memory_order_relaxed);
  if (OwnerWord::activity_of(word) != activity_) return nullptr;
  const uint32_t index = OwnerWord::index_of(word);
  return index < touched_.size() && touched_[index].place.header == place.header
             ? &touched_[index]
             : nullptr;
}

Status Activation::intend(Touched& touched, Intent::Deed deed) {
  if (remote_ != nullptr) {  // nothing is stored before the commit
    ++intents_;
    touched.changes = true;
    return Status::kOk;
  }
  // The last word of a list that is full names the block in which it goes on.
  if (intents_ + 1 == intents_room(blocks_.size())) {
    const Status status = add_block();
    if (status != Status::kOk) return status;
  }
  const uint64_t where = intent_offset(descriptor_, blocks_, intents_);
  store_intent(memory_, where, serial_, {touched.place.header, deed});
  memory_.banks().fence();  // before the first store to the object
  ++intents_;
  touched.changes = true;
  return Status::kOk;
}

// One more block of intents for the descriptor: an object that becomes live at once, after the link
// to it. Cut short at any store, it is a link to nothing, or a block without intents; recovery
// knows of it by an intent of its own.
Status Activation::add_block() {
  Place place;
  const Status status = allocator_.find(kIntentBlockBytes, PageUse::kDescriptors, 0,
                                        activity_ | kClaimOnly, &place);
  if (status != Status::kOk) return fail(status, "no room for the transaction's list of objects");
  Banks& banks = memory_.banks();
  ObjectHeader header;
  memcpy(&header, banks.a.at(place.header), sizeof(header));
  header.version += 1;
  header.describe(kIntentBlockBytes, ObjectKind::kIntents, ObjectState::kLive);
  header.checksum =
      object_checksum(memory_.seed(), place.generation, place.header, header, nullptr);
  store_intent(memory_, intent_offset(descriptor_, blocks_, intents_), serial_,
               {place.header, Intent::kBlock});
  ++intents_;
  format_intent_block(memory_, place.contents, descriptor_);
  banks.fence();
  store_link(memory_, blocks_.empty() ? link_of_descriptor(descriptor_)
                                      : link_of_block(blocks_.back()), place.header);
  banks.fence();
  store_header(banks.a, place, header);
  banks.fence();
  store_header(banks.b, place, header);
  banks.fence();
  release_claim(place);
  blocks_.push_back(place.contents);
  return Status::kOk;
}

// The object whose place stands at the end of the list becomes this transaction's: claimed, judged,
// and in the list; or it was there already, and the end of the list is dropped again.
Status Activation::touch(Wait wait, Touched** touched) {
  const Place& place = touched_.back().place;
  if (memory_.owner_word(place.header).load(std::memory_order_relaxed) != 0) {
    // A word that names the very end of the list is a dead thread's, of an activity with the same
  // number (they are counted anew with each board).
  if (Touched* known = find(place); known != nullptr && known != &touched_.back()) {
      touched_.pop_back();
      *touched = known;
      return Status::kOk;
    }
  }
  if (touched_.size() >= kMaxObjects) {
    touched_.pop_back();
    return fail(Status::kFull, "a transaction can have 16 million objects, not more");
  }
  const uint64_t address = place.contents;
  const Status claimed = claim(place, touched_.size() - 1, wait);
  if (claimed != Status::kOk) {
    touched_.pop_back();
    return fail_at(claimed, address,
                   claimed == Status::kDeadlock
                       ? "waiting for it would never end: its owner waits for this transaction"
                       : "open in another transaction; abort and try again");
  }
  *touched = &touched_.back();
  Touched& object = **touched;
  // While it was being claimed its run may have been given back.
  const PageInfo& info = memory_.page_info(address / kPageBytes);
  if (info.generation.load(std::memory_order_acquire) != place.generation) {
    // … and made anew, which forgets claims: the word may be somebody else's by now.
    uint64_t mine = activity_ | (touched_.size() - 1);
    memory_.owner_word(place.header).compare_exchange_strong(mine, 0, std::memory_order_acq_rel);
    touched_.pop_back();
    return fail_at(Status::kFreed, address, "it was freed");
  }
  const bool usable = remote_ == nullptr
                          ? sound_object(memory_, place, &object.header) != Soundness::kLost
                          : copy_into_view(object);
  if (!usable) {
    const std::string name = name_of_object(place, nullptr);
    release_claim(place);
    touched_.pop_back();
    return fail(Status::kDamaged, name + ": damaged in both banks");
  }
  object.becomes = object.header;
  return Status::kOk;
}

Status Activation::make_usable(Touched& object, OpenFor purpose, const uint16_t* life) {
  const uint64_t address = object.place.contents;
  last_address_ = address;
  last_ = static_cast<size_t>(&object - touched_.data());
  if (object.freed || !object.becomes.live()) {
    if (object.freed || object.header.version > 0) {
      return fail_at(Status::kFreed, address, "it was freed");
    }
    return fail_at(Status::kNotStable, address, "no object was ever made here");
  }
  if (life != nullptr && *life != object.becomes.life()) {
    return fail_at(Status::kFreed, address, "it was freed, and another one made here since");
  }
  if (!system_ && object.becomes.kind() != ObjectKind::kUser) {
    return fail_at(Status::kForeign, address, "one of the memory's own objects");
  }
  if (purpose == OpenFor::kChanging && !object.changes) {
    const Status status = intend(object, Intent::kChange);
    if (status != Status::kOk) return status;
  }
  object.open = true;
  show(object, purpose);
  return Status::kOk;
}

Status Activation::open(uint64_t address, OpenFor purpose, Wait wait, const uint16_t* life) {
  if (!active_) return not_active();
  Place& place = touched_.emplace_back().place;
  if (!locate(memory_, address, &place) || place.use != PageUse::kObjects) {
    touched_.pop_back();
    return fail_at(Status::kNotStable, address, "no stable object begins at this address");
  }
  if (place.realm != realm_ && !(system_ && place.realm == 0)) {
    touched_.pop_back();
    return fail_at(Status::kForeign, address, "it belongs to another stable memory object");
  }
  if (remote_ != nullptr) {
    foresee_remotely(place, purpose);
  } else {
    // All that will be read comes at once, not one after the other; bank B, which is read last,
    // into the second-level cache only: the first can wait for few lines at a time.
    const Banks& banks = memory_.banks();
    __builtin_prefetch(banks.a.at(place.header));
    __builtin_prefetch(banks.b.at(place.header), 1);
    const uint64_t ahead = std::min(place.capacity, kPrefetchBytes);
    for (uint64_t at = 0; at < ahead; at += kCacheLineBytes) {
      __builtin_prefetch(banks.a.at(place.contents + at), 1);
      __builtin_prefetch(banks.b.at(place.contents + at), 0, 1);
    }
  }
  Touched* touched = nullptr;
  const Status status = touch(wait, &touched);
  return status == Status::kOk ? make_usable(*touched, purpose, life) : status;
}

Status Activation::find_open(uint64_t address, OpenFor purpose, const char* verb,
                             Touched** touched) {
  if (!active_) return not_active();
  if (address == last_address_ && address != 0) {
    *touched = &touched_[last_];
  } else {
    Place place;
    if (!locate(memory_, address, &place)) {
      return fail_at(Status::kNotStable, address, "no stable object begins at this address");
    }
    *touched = find(place);
  }
  if (*touched == nullptr || !(*touched)->open) {
    return fail_not_open(address, verb, " while it is not open in this transaction");
  }
  if (purpose == OpenFor::kChanging && !(*touched)->changes) {
    return fail_not_open(address, verb, " while it is open for reading only");
  }
  return Status::kOk;
}

Status Activation::fail_not_open(uint64_t address, const char* verb, const char* why) {
  return fail_at(Status::kNotOpen, address, std::string(verb) + why);
}

bool Activation::changes(uint64_t address, ObjectKind kind, uint32_t type) {
  Place place;
  if (!active_ || !locate(memory_, address, &place)) return false;
  const Touched* touched = find(place);
  return touched != nullptr && touched->changes && !touched->freed &&
         touched->becomes.kind() == kind && touched->becomes.type() == type;
}

void Activation::forget(uint64_t address) {
  Place place;
  if (!active_ || !locate(memory_, address, &place)) return;
  Touched* touched = find(place);
  if (touched == nullptr || touched->changes || place.use != PageUse::kObjects) return;
  hide(*touched);
  release_claim(place);
  if (touched != &touched_.back()) {
    // The last of the list takes its index. Others look at a word's activity only.
    *touched = touched_.back();
    memory_.owner_word(touched->place.header)
        .store(activity_ | static_cast<uint64_t>(touched - touched_.data()),
               std::memory_order_release);
  }
  touched_.pop_back();
  last_address_ = 0;
}

Status Activation::close(uint64_t address) {
  Touched* touched = nullptr;
  const Status status = find_open(address, OpenFor::kReading, "closed", &touched);
  if (status != Status::kOk) return status;
  touched->open = false;
  hide(*touched);
  if (remote_ != nullptr) closed_remotely(*touched);
  return Status::kOk;
}

// --- allocation ---

Status Activation::allocate(uint64_t size_bytes, ObjectKind kind, uint32_t type,
                            uint64_t* address) {
  if (!active_) return not_active();
  if (size_bytes == 0) return fail(Status::kEmpty, "an object of size 0 can't be made");
  const bool descriptor = kind == ObjectKind::kDescriptor;
  Place place;
  const Status found =
      allocator_.find(size_bytes, descriptor ? PageUse::kDescriptors : PageUse::kObjects,
                      descriptor || system_ ? 0 : realm_, activity_ | touched_.size(), &place);
  if (found != Status::kOk) {
    return fail(found, std::to_string(size_bytes) + " bytes: " +
                           (found == Status::kTooLarge ? "larger than the memory can hold"
                            : allocator_.over_quota()  ? "the memory object's quota of pages is "
                                                         "used up"
                                                       : "the memory is full"));
  }
  ObjectHeader header;
  memcpy(&header, memory_.banks().a.at(place.header), sizeof(header));
  touched_.emplace_back(place, header);
  Touched& touched = touched_.back();
  const Status intended = intend(touched, Intent::kAllocate);
  if (intended != Status::kOk) {
    touched_.pop_back();
    release_claim(place);
    return intended;
  }
  touched.allocated = touched.open = true;
  touched.becomes.describe(size_bytes, kind, ObjectState::kLive);
  touched.becomes.type_and_life =
      type | static_cast<uint64_t>(static_cast<uint16_t>(header.life() + 1)) << 32;
  if (descriptor) {
    if (remote_ == nullptr) format_descriptor(memory_, place.contents);
  } else if (remote_ != nullptr) {
    memset(memory_.view() + place.contents, 0, whole_words(size_bytes));
  } else {
    static constexpr char kZeros[kPageBytes] = {};
    const uint64_t whole = whole_words(size_bytes);
    for (uint64_t at = 0; at < whole; at += kPageBytes) {
      memory_.banks().a.store(place.contents + at, kZeros, std::min(kPageBytes, whole - at));
    }
    show(touched, OpenFor::kChanging);
  }
  *address = place.contents;
  return Status::kOk;
}

Status Activation::free(uint64_t address) {
  if (!active_) return not_active();
  Place place;
  if (locate(memory_, address, &place) && place.use == PageUse::kDescriptors) {
    // Recovery finds a transaction by its descriptor, so it can't be gone at the commit itself.
    if (address == descriptor_) {
      return fail_at(Status::kConflict, address, "the transaction runs on it");
    }
    ObjectHeader header;
    if ((good_copy(memory_, memory_.banks().a, place, &header) ||
         good_copy(memory_, memory_.banks().b, place, &header)) &&
        header.live() &&
        (header.kind() != ObjectKind::kDescriptor || header.type() == kOwnDescriptorType)) {
      return fail_at(Status::kForeign, address, "one of the memory's own objects");
    }
    return free_descriptor(place);
  }
  Touched* touched = nullptr;
  const Status status = find_open(address, OpenFor::kChanging, "freed", &touched);
  if (status != Status::kOk) return status;
  touched->freed = true;
  touched->open = false;
  hide(*touched);
  return Status::kOk;
}

// Descriptors and their blocks are never open: freeing one claims it.
Status Activation::free_descriptor(const Place& place) {
  const uint64_t address = place.contents;
  touched_.emplace_back().place = place;
  Touched* touched = nullptr;
  const bool was_system = system_;
  Status status = touch(Wait::none(), &touched);
  system_ = true;
  if (status == Status::kOk) status = make_usable(*touched, OpenFor::kChanging, nullptr);
  system_ = was_system;
  if (status != Status::kOk) return status;
  touched->freed = true;
  touched->open = false;
  if (touched->becomes.kind() != ObjectKind::kDescriptor) return Status::kOk;
  for (const uint64_t block : read_blocks(memory_, address)) {
    Place of_block;
    if (!locate(memory_, block, &of_block)) continue;
    status = free_descriptor(of_block);
    if (status != Status::kOk) return status;
  }
  return Status::kOk;
}

// --- checked accesses ---

Status Activation::read(uint64_t address, uint64_t offset, void* to, uint64_t size_bytes) {
  Touched* touched = nullptr;
  const Status status = find_open(address, OpenFor::kReading, "read", &touched);
  if (status != Status::kOk) return status;
  const uint64_t size = touched->becomes.size_bytes();
  if (offset > size || size_bytes > size - offset) {
    return fail_at(Status::kOutOfBounds, address, "read beyond its end");
  }
  memcpy(to, memory_.view() + address + offset, size_bytes);
  return Status::kOk;
}

Status Activation::write(uint64_t address, uint64_t offset, const void* from,
                         uint64_t size_bytes) {
  Touched* touched = nullptr;
  const Status status = find_open(address, OpenFor::kChanging, "written", &touched);
  if (status != Status::kOk) return status;
  const uint64_t size = touched->becomes.size_bytes();
  if (offset > size || size_bytes > size - offset) {
    return fail_at(Status::kOutOfBounds, address, "written beyond its end");
  }
#ifdef AUXIN_STORE_STEPS
  // What goes into bank A goes through the seam, word by word.
  const bool seen = memory_.view() == memory_.banks().a.at(0);
  for (uint64_t done = 0; seen && done < size_bytes;) {
    const uint64_t at = address + offset + done;
    const uint64_t word_at = at & ~7ull;
    const uint64_t count = std::min(size_bytes - done, word_at + 8 - at);
    uint64_t word = memory_.banks().a.word(word_at);
    memcpy(reinterpret_cast<char*>(&word) + (at - word_at), static_cast<const char*>(from) + done,
           count);
    memory_.banks().a.store_word(word_at, word);
    done += count;
  }
  if (seen) return Status::kOk;
#endif
  memcpy(memory_.view() + address + offset, from, size_bytes);
  return Status::kOk;
}

Status Activation::demand_open(uint64_t address, OpenFor purpose) {
  Touched* touched = nullptr;
  return find_open(address, purpose, "used", &touched);
}

bool Activation::is_open(uint64_t address) {
  Place place;
  if (!active_ || !locate(memory_, address, &place)) return false;
  const Touched* touched = find(place);
  return touched != nullptr && touched->open;
}

Status Activation::describe(uint64_t address, uint64_t* size_bytes, uint16_t* life) {
  Touched* touched = nullptr;
  const Status status = find_open(address, OpenFor::kReading, "described", &touched);
  if (status != Status::kOk) return status;
  *size_bytes = touched->becomes.size_bytes();
  *life = touched->becomes.life();
  return Status::kOk;
}

}  // namespace auxin::stm
