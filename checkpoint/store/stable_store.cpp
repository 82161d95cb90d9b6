// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/store/stable_store.h"

#include <functional>

namespace auxin::checkpoint {
namespace {

using stm::stable_ptr;
using stm::Transaction;

// A message's bytes: an object as long as they are.
struct MessageObject : stm::Stable {
  unsigned char first;
};

struct MessageList : stm::Stable {
  static constexpr uint64_t kRoom = 64;
  struct Entry {
    stable_ptr<MessageObject> object;
    uint64_t size_bytes;
    uint64_t sequence;
  };
  uint64_t state = 0;
  uint64_t count = 0;
  Entry entries[kRoom] = {};

  ChainPosition position() const {
    return {state, count == 0 ? 0 : entries[count - 1].sequence};
  }
};

Outcome outcome_of(const stm::Failure& failure) {
  switch (failure.status()) {
    case stm::Status::kFull: return {AUXIN_CHECKPOINT_NO_SPACE, failure.what()};
    case stm::Status::kTooLarge: return {AUXIN_CHECKPOINT_TOO_LARGE, failure.what()};
    case stm::Status::kDamaged: return {AUXIN_CHECKPOINT_DAMAGED, failure.what()};
    default: return {AUXIN_CHECKPOINT_INPUT_OUTPUT, failure.what()};
  }
}

Outcome guarded(const std::function<Outcome()>& work) {
  try {
    return work();
  } catch (const stm::Failure& failure) {
    return outcome_of(failure);
  }
}

// The list of this name, made if it is not there.
stm::Opened<MessageList> list_of(Transaction& t, const std::string& name) {
  const stable_ptr<MessageList> there = t.root<MessageList>(name);
  if (there) return t.open<MessageList>(there);
  stm::Opened<MessageList> made = t.make<MessageList>();
  t.set_root(name, made.reference());
  return made;
}

void append(Transaction& t, MessageList& list, const MessageView& message) {
  const uint64_t size_bytes = message.bytes().size();
  void* object = t.allocate(size_bytes);
  t.write(object, 0, message.bytes().data(), size_bytes);
  list.state = message.header().state;
  list.entries[list.count] = {stable_ptr<MessageObject>(static_cast<MessageObject*>(object)),
                              size_bytes, message.header().sequence};
  ++list.count;
}

void free_all(Transaction& t, MessageList& list) {
  for (uint64_t i = 0; i < list.count; ++i) {
    t.open<MessageObject>(list.entries[i].object).destroy();
    list.entries[i] = {};
  }
  list.count = 0;
}

}  // namespace

Expected<std::unique_ptr<StableStore>> StableStore::open(const std::string& path,
                                                         const std::string& name,
                                                         uint64_t max_image_bytes) {
  if (name.empty() || name.size() > 47) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, "the name of a store has 1 to 47 bytes");
  }
  try {
    return std::unique_ptr<StableStore>(
        new StableStore(stm::Memory::open(path), name, max_image_bytes));
  } catch (const stm::Failure& failed) {
    return outcome_of(failed);
  }
}

Outcome StableStore::put(const MessageView& message) {
  bool is_full = false;
  Outcome outcome = guarded([&] {
    return stm::atomically(memory_, [&](Transaction& t) {
      stm::Opened<MessageList> list = list_of(t, name_);
      Outcome judged = judge_sequence(list->position(), message.header());
      is_full = judged && !message.is_base() && list->count == MessageList::kRoom;
      if (!judged || is_full) return judged;
      if (message.is_base()) free_all(t, *list);
      append(t, *list, message);
      return judged;
    });
  });
  if (!outcome || !is_full) return outcome;
  Image image(max_image_bytes_);
  if (outcome = read(&image); !outcome) return outcome;
  if (outcome = image.apply(message); !outcome) return outcome;
  const Expected<ByteBuffer> base = image.to_base(MessageOptions{});
  if (!base) return base.outcome();
  const Expected<MessageView> view = MessageView::of(base->view());
  return view ? replace_all(*view) : view.outcome();
}

Outcome StableStore::replace_all(const MessageView& base) {
  return guarded([&] {
    return stm::atomically(memory_, [&](Transaction& t) {
      stm::Opened<MessageList> list = list_of(t, name_);
      free_all(t, *list);
      append(t, *list, base);
      return Outcome::ok();
    });
  });
}

Outcome StableStore::read(Image* image) {
  Image read(max_image_bytes_);
  Outcome outcome = guarded([&] {
    return stm::atomically(memory_, [&](Transaction& t) -> Outcome {
      read = Image(max_image_bytes_);
      const stable_ptr<MessageList> there = t.root<MessageList>(name_);
      if (!there) return failure(AUXIN_CHECKPOINT_EMPTY, name_ + ": there is no image");
      const stm::Opened<const MessageList> list = t.open<const MessageList>(there);
      for (uint64_t i = 0; i < list->count && i < MessageList::kRoom; ++i) {
        const stm::Opened<const MessageObject> object =
            t.open<const MessageObject>(list->entries[i].object);
        const uint64_t size_bytes = list->entries[i].size_bytes;
        ByteBuffer bytes;
        if (!bytes.resize(size_bytes)) {
          return failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory for a message");
        }
        t.read(object.get(), 0, bytes.data(), size_bytes);
        const Expected<MessageView> view = MessageView::of(bytes.view());
        if (!view) return view.outcome();
        if (Outcome applied = read.apply(*view); !applied) return applied;
      }
      return Outcome::ok();
    });
  });
  if (outcome && read.position().sequence == 0) {
    return failure(AUXIN_CHECKPOINT_EMPTY, name_ + ": there is no image");
  }
  if (outcome) *image = std::move(read);
  return outcome;
}

Outcome StableStore::compact() {
  Image image(max_image_bytes_);
  if (Outcome outcome = read(&image); !outcome) return outcome;
  const Expected<ByteBuffer> base = image.to_base(MessageOptions{});
  if (!base) return base.outcome();
  const Expected<MessageView> view = MessageView::of(base->view());
  return view ? replace_all(*view) : view.outcome();
}

StoreReport StableStore::report() const {
  StoreReport report;
  const Outcome outcome = guarded([&] {
    return stm::atomically(memory_, [&](Transaction& t) {
      report = StoreReport();
      const stable_ptr<MessageList> there = t.root<MessageList>(name_);
      if (!there) return Outcome::ok();
      const stm::Opened<const MessageList> list = t.open<const MessageList>(there);
      report.messages = list->count;
      if (list->count != 0) report.base_sequence = list->entries[0].sequence;
      report.sequence = list->position().sequence;
      for (uint64_t i = 0; i < list->count; ++i) report.bytes += list->entries[i].size_bytes;
      return Outcome::ok();
    });
  });
  if (!outcome) report.damage.push_back(outcome.sentence);
  return report;
}

}  // namespace auxin::checkpoint
