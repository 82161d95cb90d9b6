// SPDX-License-Identifier: Apache-2.0
//
// Bits that turn in the service's own tables, in memory, between two calls.
#include <cstdlib>
#include <cstring>

#include "checkpoint/injection/rows.h"
#include "checkpoint/message/image.h"
#include "checkpoint/state/named_state.h"

namespace auxin::checkpoint::injection {

// The friend of what it turns bits in.
struct Tables {
  static NamedRegion& region(NamedState& state) { return *state.regions_.at(1); }
  static ObjectMarks::Object& object(NamedState& state) { return state.objects_[0]; }
  static ChainPosition& position(NamedState& state) { return state.position_; }
  static uint64_t& user_word(NamedState& state) { return state.user_word_; }
  static TrackedRange& range(NamedState& state) {
    TrackedRange* first = nullptr;
    state.tracker_.for_each_range(
        [](const TrackedRange& range, void* to) {
          auto** found = static_cast<TrackedRange**>(to);
          if (*found == nullptr) *found = const_cast<TrackedRange*>(&range);
        },
        &first);
    return *first;
  }
  static ChainPosition& position(Image& image) { return image.position_; }
  static uint64_t& user_word(Image& image) { return image.user_word_; }
  static Image::Region& region(Image& image) { return image.regions_.at(1); }
  static std::vector<uint64_t>& digests(Image& image) { return region(image).digests.digests_; }
};

namespace {

constexpr uint64_t kPages = 3;

// A state that has given one message, which `image` has.
struct Subject {
  alignas(kPageBytes) char memory[kPages * kPageBytes];
  uint64_t object = 5;
  uint8_t* mark = nullptr;
  std::unique_ptr<NamedState> state;
  Image image;

  explicit Subject(bool check) {
    for (uint64_t i = 0; i < sizeof memory; ++i) memory[i] = static_cast<char>(i * 31 >> 3);
    StateOptions options;
    options.method = TrackingMethod::kFull;
    options.check_tables = check;
    state = std::move(*NamedState::create(options));
    if (!state->add_range(1, memory, sizeof memory) ||
        !state->add_object(2, &object, sizeof object, &mark) || receive() != Fate::kMasked) {
      std::abort();
    }
  }
  bool image_is_right() const {
    const Image::Region* there = image.region(1);
    return there != nullptr && there->bytes.size() == sizeof memory &&
           std::memcmp(there->bytes.data(), memory, sizeof memory) == 0 &&
           image.user_word() == 0;
  }
  Fate receive() {
    return state->capture(CaptureKind::kIncrement) ? take() : Fate::kDetected;
  }
  Fate take() {
    const Expected<ByteBuffer> message = state->message();
    if (!message || !image.apply(*MessageView::of(message->view()))) return Fate::kDetected;
    return image_is_right() ? Fate::kMasked : Fate::kMissed;
  }
};

void add_state(std::vector<Row>* rows) {
  const auto part = [&](const char* what, auto table, size_t size_bytes) {
    Subject subject(true);
    Row row;
    row.where = std::string("a state's tables: ") + what;
    each_bit_of(table(subject), size_bytes, &row, [&] { return subject.receive(); });
    if (subject.receive() != Fate::kMasked) std::abort();  // all is as it was
    rows->push_back(row);
  };
  const auto region = [](Subject& of) { return &Tables::region(*of.state); };
  part("what is named", [&](Subject& of) { return &region(of)->id; }, 3 * sizeof(uint64_t));
  part("what receivers know of it", [&](Subject& of) { return &region(of)->announced_bytes; },
       sizeof(uint64_t));
  part("marked objects", [](Subject& of) { return &Tables::object(*of.state).id; },
       3 * sizeof(uint64_t));
  part("tracked ranges", [](Subject& of) { return &Tables::range(*of.state); },
       2 * sizeof(uint64_t));
  part("digests of pages", [&](Subject& of) { return region(of)->digests.data(); },
       kPages * sizeof(PageDigest));
  part("its place in the chain", [](Subject& of) { return &Tables::position(*of.state); },
       sizeof(ChainPosition));
  // Between a capture and its message.
  Subject subject(true);
  subject.memory[5000] = 'x';
  if (!subject.state->capture(CaptureKind::kIncrement)) std::abort();
  Row row;
  row.where = "a state's tables: where pages are staged";
  each_bit_of(Tables::region(*subject.state).slots.data(), kPages * sizeof(Slot), &row,
              [&] { return subject.take(); });
  rows->push_back(row);
}

// What becomes of it where nobody looks: of such bits as do not lead anywhere else in memory.
void add_unchecked_state(std::vector<Row>* rows) {
  Subject subject(false);
  Row digests, word;
  digests.where = "tables that are not looked at: digests of pages";
  word.where = "tables that are not looked at: user word";
  each_bit_of(Tables::region(*subject.state).digests.data(), kPages * sizeof(PageDigest),
              &digests, [&] { return subject.receive(); });
  each_bit_of(&Tables::user_word(*subject.state), sizeof(uint64_t), &word,
              [&] { return subject.receive(); });
  rows->push_back(digests);
  rows->push_back(word);
}

// A receiver's: handed on, or brought forward by the next message.
void add_image_tables(std::vector<Row>* rows) {
  Subject subject(false);
  Image& image = subject.image;
  image.set_checked(true);
  subject.memory[1] = 'x';
  if (!subject.state->capture(CaptureKind::kIncrement)) std::abort();
  const Expected<ByteBuffer> next = subject.state->message();
  if (!next) std::abort();
  const Expected<MessageView> view = MessageView::of(next->view());
  Row row;
  row.where = "a checked image's tables";
  const auto tried = [&] {
    return image.check() || image.to_base(MessageOptions{}) || image.apply(*view)
               ? Fate::kMissed
               : Fate::kDetected;
  };
  each_bit_of(&Tables::position(image), sizeof(ChainPosition), &row, tried);
  each_bit_of(&Tables::user_word(image), sizeof(uint64_t), &row, tried);
  each_bit_of(&Tables::region(image).address, sizeof(uint64_t), &row, tried);
  each_bit_of(Tables::digests(image).data(), Tables::digests(image).size() * sizeof(uint64_t),
              &row, tried);
  if (!image.apply(*view)) std::abort();  // all is as it was
  rows->push_back(row);
}

}  // namespace

void add_tables(std::vector<Row>* rows) {
  add_state(rows);
  add_unchecked_state(rows);
  add_image_tables(rows);
}

}  // namespace auxin::checkpoint::injection
