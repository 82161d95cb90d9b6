// SPDX-License-Identifier: Apache-2.0
#include "stmemu/transaction/crash_workload.h"

#include <algorithm>

namespace auxin::stm {
namespace {

constexpr uint64_t kTinyBytes = 16;
constexpr uint64_t kManyObjects = kDescriptorIntents + 10;

}  // namespace

CrashWorkload::CrashWorkload(PlainMemory& world, uint64_t seed) : world_(world), random_(seed) {}

void CrashWorkload::expect(Status status, const char* what) {
  if (status == Status::kOk || status == Status::kFull || !failure_.empty()) return;
  failure_ = what_ + ": " + what + ": status " + std::to_string(static_cast<int>(status)) + ", " +
             activation_->message();
}

uint64_t CrashWorkload::any_object() {
  std::vector<uint64_t> addresses;
  for (const auto& [address, expected] : draft_) {
    if (expected.kind == ObjectKind::kUser) addresses.push_back(address);
  }
  return addresses.empty() ? 0 : addresses[random_() % addresses.size()];
}

uint64_t CrashWorkload::any_size() {
  switch (random_() % 8) {
    case 0:
    case 1:
    case 2:
      return 1 + random_() % kTinyBytes;
    case 3:
    case 4:
      return 97 + random_() % 16;
    case 5:
    case 6:
      return 900 + random_() % 124;
    default:
      return 8193 + random_() % 12000;
  }
}

void CrashWorkload::make(uint64_t size_bytes) {
  uint64_t address = 0;
  const Status status = activation_->allocate(size_bytes, ObjectKind::kUser, 7, &address);
  expect(status, "allocate");
  if (status != Status::kOk) return;
  if (draft_.contains(address)) failure_ = what_ + ": an object was made where another lives";
  draft_[address] = {ObjectKind::kUser, std::string(size_bytes, '\0')};
}

void CrashWorkload::change(uint64_t address) {
  if (address == 0) return;
  const Status status = activation_->open(address, OpenFor::kChanging, Wait::none());
  expect(status, "open");
  if (status != Status::kOk) return;
  std::string& contents = draft_[address].contents;
  const uint64_t from = random_() % contents.size();
  const uint64_t longest = std::min<uint64_t>(contents.size() - from, 40);
  std::string bytes(1 + random_() % longest, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random_());
  expect(activation_->write(address, from, bytes.data(), bytes.size()), "write");
  contents.replace(from, bytes.size(), bytes);
}

void CrashWorkload::free_one(uint64_t address) {
  if (address == 0) return;
  const Status status = activation_->open(address, OpenFor::kChanging, Wait::none());
  expect(status, "open to free");
  if (status != Status::kOk) return;
  expect(activation_->free(address), "free");
  draft_.erase(address);
}

void CrashWorkload::mixed(int operations) {
  for (int operation = 0; operation < operations && failure_.empty(); ++operation) {
    switch (random_() % 8) {
      case 0:
      case 1:
        make(any_size());
        break;
      case 2:
        free_one(any_object());
        break;
      case 3: {  // read
        const uint64_t address = any_object();
        if (address == 0) break;
        expect(activation_->open(address, OpenFor::kReading, Wait::none()), "open to read");
        std::string seen(draft_[address].contents.size(), '\0');
        expect(activation_->read(address, 0, seen.data(), seen.size()), "read");
        if (seen != draft_[address].contents) failure_ = what_ + ": an object's contents differ";
        break;
      }
      default:
        change(any_object());
    }
  }
}

// More objects than a descriptor has intents.
void CrashWorkload::many(uint64_t count) {
  uint64_t changed = 0;
  for (const auto& [address, expected] : Model(draft_)) {
    if (changed == count) return;
    if (expected.kind != ObjectKind::kUser || expected.contents.size() > kTinyBytes) continue;
    change(address);
    ++changed;
  }
  for (; changed < count && failure_.empty(); ++changed) make(kTinyBytes);
}

// Until nothing fits: runs without live objects are given back on the way.
void CrashWorkload::fill() {
  for (int objects = 0; objects < 40; ++objects) {
    const size_t before = draft_.size();
    make(random_() % 2 == 0 ? 20000 : 200);
    if (draft_.size() == before) return;
  }
}

void CrashWorkload::descriptors() {
  if (programs_.size() < 2 || random_() % 2 == 0) {
    uint64_t address = 0;
    const Status status =
        activation_->allocate(kDescriptorBytes, ObjectKind::kDescriptor, 0, &address);
    expect(status, "allocate a descriptor");
    if (status == Status::kOk) draft_[address] = {ObjectKind::kDescriptor, {}};
  } else {
    const uint64_t address = programs_[random_() % programs_.size()];
    const Status status = activation_->free(address);
    if (address == activation_->descriptor()) {
      if (status != Status::kConflict) failure_ = what_ + ": a descriptor in use was freed";
    } else {
      expect(status, "free a descriptor");
      draft_.erase(address);
    }
  }
  mixed(2);
}

Recorded CrashWorkload::next() {
  const uint64_t sort = random_() % 20;
  Recorded recorded;
  recorded.before = model_;
  world_.start_recording();
  what_ = "transaction " + std::to_string(number_);
  draft_ = model_;
  bool committed = false;
  if (activation_ == nullptr) {
    what_ += " (a context's descriptor is made)";
    expect(Activation::make(world_.memory(), &activation_), "make an activation");
    if (activation_ == nullptr) {
      failure_ = what_ + ": no activation";
    } else {
      own_descriptor_ = activation_->descriptor();
      draft_[own_descriptor_] = {ObjectKind::kDescriptor, {}};
      committed = true;
    }
  } else {
    const bool on_programs = !programs_.empty() && random_() % 3 == 0;
    expect(activation_->use_descriptor(
               on_programs ? programs_[random_() % programs_.size()] : 0),
           "use a descriptor");
    expect(activation_->begin(), "begin");
    if (number_ == 1 || number_ == 4) {
      what_ += " (many objects)";
      many(kManyObjects + (number_ == 4 ? kDescriptorIntents : 0));
    } else if (sort == 0) {
      what_ += " (fills the memory)";
      fill();
    } else if (sort < 4) {
      what_ += " (descriptors)";
      descriptors();
    } else if (sort == 4 && number_ % 4 == 0) {
      what_ += " (changes many objects)";
      many(kManyObjects);
    } else {
      mixed(static_cast<int>(1 + random_() % 5));
    }
    if (number_ > 1 && random_() % 5 == 0) {
      what_ += ", aborted";
      expect(activation_->abort(), "abort");
    } else {
      committed = true;
      expect(activation_->commit(), "commit");
    }
  }
  world_.stop_recording();
  if (committed) {
    model_ = draft_;
    programs_.clear();
    for (const auto& [address, expected] : model_) {
      if (expected.kind == ObjectKind::kDescriptor) programs_.push_back(address);
    }
    std::erase(programs_, own_descriptor_);  // a context's own is not the program's
  }
  recorded.after = model_;
  recorded.what = what_;
  recorded.steps = world_.steps();
  ++number_;
  return recorded;
}

}  // namespace auxin::stm
