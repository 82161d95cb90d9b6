// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/transport/remote_store.h"

#include <time.h>

#include <algorithm>

#include "checkpoint/transport/handshake.h"

namespace auxin::checkpoint {
namespace {

int64_t now_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

void pause_ms(int64_t ms) {
  timespec left{ms / 1000, ms % 1000 * 1'000'000};
  while (nanosleep(&left, &left) != 0) {
  }
}

// Whether another connection may do better.
bool is_of_the_connection(Status status) {
  return status == AUXIN_CHECKPOINT_INPUT_OUTPUT || status == AUXIN_CHECKPOINT_EMPTY ||
         status == AUXIN_CHECKPOINT_DAMAGED || status == AUXIN_CHECKPOINT_MALFORMED ||
         status == AUXIN_CHECKPOINT_FOREIGN || status == AUXIN_CHECKPOINT_DUPLICATE;
}

}  // namespace

Expected<std::unique_ptr<RemoteStore>> RemoteStore::open(const std::string& address,
                                                         const std::string& name,
                                                         const RemoteOptions& options) {
  Expected<Address> where = Address::parse(address);
  if (!where) return where.outcome();
  if (!is_state_name(name)) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL,
                   "a state's name has 1 to 47 letters, digits, points, hyphens and underscores");
  }
  if (options.piece_bytes < kLeastPieceBytes || options.piece_bytes > kMostPieceBytes) {
    return failure(AUXIN_CHECKPOINT_WRONG_CALL, "pieces have 256 bytes to 64 MiB");
  }
  std::unique_ptr<RemoteStore> store(new RemoteStore(std::move(*where), name, options));
  Outcome outcome = store->ask_report();
  if (!outcome) return outcome;
  return store;
}

Outcome RemoteStore::connect() {
  if (connection_ != nullptr) {
    // A server closes what is idle: it is seen before something is said.
    if (connection_->wait_readable(0) == 0) return Outcome::ok();
    disconnect();
  }
  const Expected<int> fd = Connection::connect(address_, options_.stall_ms);
  if (!fd) return fd.outcome();
  connection_ = std::make_unique<Connection>(*fd, options_.stall_ms);
  stream_ = std::make_unique<FrameStream>(*connection_);
  Outcome outcome = greet_server(*stream_, options_.secret, name_, &max_message_bytes_);
  if (!outcome) {
    disconnect();
    outcome.sentence = address_.text + ": " + outcome.sentence;
  }
  return outcome;
}

void RemoteStore::disconnect() {
  stream_.reset();
  connection_.reset();
}

Outcome RemoteStore::insist(const std::function<Answer(bool* got_on)>& work) {
  constexpr int64_t kFirstPauseMs = 5, kLongestPauseMs = 1000;
  int64_t give_up_at = now_ms() + options_.give_up_ms, next_pause_ms = kFirstPauseMs;
  for (;;) {
    bool got_on = false;
    Answer answer;
    answer.outcome = connect();
    if (answer.outcome) answer = work(&got_on);
    if (answer.came) {
      kept_ = answer.kept;
      return answer.outcome;
    }
    disconnect();
    ++breaks_;
    if (!is_of_the_connection(answer.outcome.status)) return answer.outcome;
    if (got_on) {
      give_up_at = now_ms() + options_.give_up_ms;
      next_pause_ms = kFirstPauseMs;
    }
    if (now_ms() + next_pause_ms > give_up_at) {
      return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT,
                     address_.text + ": given up: " + answer.outcome.sentence);
    }
    pause_ms(next_pause_ms);
    next_pause_ms = std::min(2 * next_pause_ms, kLongestPauseMs);
  }
}

Answer RemoteStore::ask(FrameKind kind) {
  Answer answer;
  answer.outcome = stream_->write(kind, nullptr, 0);
  if (!answer.outcome) return answer;
  const Expected<FrameStream::Frame> frame = stream_->read();
  if (!frame) {
    answer.outcome = frame.outcome();
  } else if (frame->kind != FrameKind::kResult || !parse_result(*frame, &answer)) {
    answer.outcome = FrameStream::unexpected(*frame);
  }
  return answer;
}

Outcome RemoteStore::ask_report() {
  return insist([&](bool*) { return ask(FrameKind::kReport); });
}

Outcome RemoteStore::compact() {
  return insist([&](bool*) { return ask(FrameKind::kCompact); });
}

Outcome RemoteStore::put(const MessageView& message) {
  const uint64_t bytes = message.bytes().size();
  uint64_t least_missing = UINT64_MAX;
  return insist([&](bool* got_on) -> Answer {
    if (bytes > max_message_bytes_) {
      Answer refused;
      refused.outcome = failure(AUXIN_CHECKPOINT_TOO_LARGE,
                                address_.text + " takes no message of " + std::to_string(bytes) +
                                    " bytes");
      return refused;
    }
    const uint32_t piece_bytes = piece_bytes_for(bytes, options_.piece_bytes);
    bool first = true;
    return offer_message(*stream_, message, piece_bytes, [&](uint64_t missing) {
      if (first && missing < piece_count(bytes, piece_bytes)) ++resumed_;
      first = false;
      *got_on = *got_on || missing < least_missing;
      least_missing = std::min(least_missing, missing);
    });
  });
}

// The server offers one message after the other, then says how it ended.
Answer RemoteStore::read_messages(Image* image, Assembly* assembly, bool* got_on) {
  Answer answer;
  const PositionPayload have{image->position().state, image->position().sequence,
                             options_.piece_bytes, 0};
  answer.outcome = stream_->write(FrameKind::kRead, &have, sizeof(have));
  while (answer.outcome) {
    const Expected<FrameStream::Frame> frame = stream_->read();
    if (!frame) {
      answer.outcome = frame.outcome();
      break;
    }
    if (frame->kind == FrameKind::kResult) {
      if (!parse_result(*frame, &answer)) answer.outcome = FrameStream::unexpected(*frame);
      break;
    }
    OfferPayload offer;
    answer.outcome = frame->kind == FrameKind::kOffer ? FrameStream::as(*frame, &offer)
                                                      : FrameStream::unexpected(*frame);
    if (answer.outcome) answer.outcome = examine_offer(offer, UINT64_MAX);
    if (!answer.outcome) break;
    const uint32_t missing = assembly->pieces_missing();
    bool contents_are_good = false;
    answer.outcome = collect_pieces(*stream_, offer, assembly, &contents_are_good);
    *got_on = *got_on || assembly->pieces_missing() != missing || assembly->complete();
    if (!answer.outcome) break;
    Expected<ByteBuffer> bytes = assembly->take();
    Expected<MessageView> message = bytes ? MessageView::of(bytes->view()) : bytes.outcome();
    if (!message) {
      answer.outcome = message.outcome();
      break;
    }
    if (contents_are_good) message->trust_contents();
    Outcome applied = image->apply(*message);
    if (!applied) {  // what the server keeps can't be used: no other connection mends that
      answer = {true, applied, kept_};
      disconnect();
      break;
    }
    assembly->reuse(std::move(*bytes));
    answer.outcome = write_result(*stream_, applied, {});
  }
  return answer;
}

Outcome RemoteStore::read(Image* image) {
  Image read(options_.max_image_bytes);
  // A message may be larger than the image that it makes by its tables alone.
  const uint64_t most = options_.max_image_bytes > UINT64_MAX / 2 ? UINT64_MAX
                                                                  : 2 * options_.max_image_bytes;
  Assembly assembly(most);
  Outcome outcome =
      insist([&](bool* got_on) { return read_messages(&read, &assembly, got_on); });
  if (outcome) *image = std::move(read);
  return outcome;
}

StoreReport RemoteStore::report() const {
  StoreReport report;
  report.state = kept_.state;
  report.base_sequence = kept_.base_sequence;
  report.sequence = kept_.sequence;
  report.messages = kept_.messages;
  report.bytes = kept_.bytes;
  if (kept_.damaged != 0) {
    report.damage.assign(std::min<uint64_t>(kept_.damaged, 1000), "at " + address_.text);
  }
  return report;
}

Expected<std::vector<RemoteStore::Entry>> RemoteStore::list(const std::string& address,
                                                           const RemoteOptions& options) {
  Expected<Address> where = Address::parse(address);
  if (!where) return where.outcome();
  RemoteStore store(std::move(*where), "", options);
  std::vector<Entry> entries;
  Outcome outcome = store.insist([&](bool*) {
    entries.clear();
    return store.ask_list(&entries);
  });
  if (!outcome) return outcome;
  return entries;
}

Answer RemoteStore::ask_list(std::vector<Entry>* entries) {
  Answer answer;
  answer.outcome = stream_->write(FrameKind::kList, nullptr, 0);
  while (answer.outcome && !answer.came) {
    const Expected<FrameStream::Frame> frame = stream_->read();
    if (!frame) {
      answer.outcome = frame.outcome();
      break;
    }
    EntryPayload entry;
    if (frame->kind == FrameKind::kResult && parse_result(*frame, &answer)) break;
    answer.outcome = frame->kind == FrameKind::kEntry ? FrameStream::as(*frame, &entry)
                                                      : FrameStream::unexpected(*frame);
    if (!answer.outcome) break;
    entry.name[kNameBytes - 1] = '\0';
    entries->push_back({entry.name, entry.kept});
  }
  return answer;
}

}  // namespace auxin::checkpoint
