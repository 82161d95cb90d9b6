// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/server/session.h"

#include <new>

#include "checkpoint/log/event_log.h"
#include "checkpoint/server/service.h"
#include "checkpoint/transport/handshake.h"

namespace auxin::checkpoint {
namespace {

Outcome ended(const char* why) { return failure(AUXIN_CHECKPOINT_INPUT_OUTPUT, why); }

}  // namespace

void Session::run() {
  Outcome outcome;
  try {
    outcome = greet_client(stream_, options_.secret, options_.max_message_bytes, &name_);
    while (outcome) {
      const Expected<FrameStream::Frame> frame = stream_.read(options_.idle_ms);
      outcome = frame ? answer(*frame) : frame.outcome();
    }
  } catch (const std::bad_alloc&) {
    outcome = failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory for a conversation");
  }
  // Clients end, are killed and come again: that is nobody's business.
  const bool left = outcome.status == AUXIN_CHECKPOINT_EMPTY ||
                    outcome.status == AUXIN_CHECKPOINT_INPUT_OUTPUT;
  if (!left && options_.tell) {
    options_.tell("a conversation about \"" + name_ + "\" ended: " + outcome.sentence);
  }
}

Outcome Session::answer(const FrameStream::Frame& frame) {
  if (frame.kind == FrameKind::kList) return answer_list();
  if (name_.empty()) return failure(AUXIN_CHECKPOINT_MALFORMED, "a request without a name");
  OfferPayload offer;
  PositionPayload position;
  switch (frame.kind) {
    case FrameKind::kOffer:
      if (Outcome outcome = FrameStream::as(frame, &offer); !outcome) return outcome;
      return answer_offer(offer);
    case FrameKind::kRead:
      if (Outcome outcome = FrameStream::as(frame, &position); !outcome) return outcome;
      return answer_read(position);
    case FrameKind::kReport: return answer_with(false, nullptr);
    case FrameKind::kCompact:
      return answer_with(false, [](MessageStore& store) { return store.compact(); });
    default: return FrameStream::unexpected(frame);
  }
}

Outcome Session::write_result_of(KeptState* state, const Outcome& outcome) {
  KeptRecord kept{};
  if (state != nullptr) {
    const std::lock_guard lock(state->mutex);
    kept = record_of(state->store->report());
  }
  return write_result(stream_, outcome, kept);
}

Outcome Session::answer_with(bool make, Outcome (*work)(MessageStore& store)) {
  Outcome outcome;
  const std::shared_ptr<KeptState> state = states_->find(name_, make, &outcome);
  if (state == nullptr) {
    // Of what is not there, the report is that nothing is.
    if (work == nullptr && outcome.status == AUXIN_CHECKPOINT_EMPTY) outcome = Outcome::ok();
    return write_result_of(nullptr, outcome);
  }
  if (work != nullptr) {
    const std::lock_guard lock(state->mutex);
    outcome = work(*state->store);
  }
  return write_result_of(state.get(), outcome);
}

bool Session::is_settled(KeptState& state, const OfferPayload& offer, Outcome* outcome) {
  *outcome = examine_offer(offer, options_.max_message_bytes);
  if (!*outcome) return true;
  const std::lock_guard lock(state.mutex);
  const StoreReport report = state.store->report();
  if (offer.sequence == report.sequence && offer.state == report.state &&
      offer.digest == report.digest) {
    return true;  // kept already: the result was lost
  }
  *outcome = judge_offer({report.state, report.sequence}, offer);
  return !*outcome;
}

Outcome Session::keep(KeptState& state, const MessageView& message) {
  if (!state.checks_contents) {
    if (Outcome outcome = message.verify_contents(); !outcome) return outcome;
  }
  if (options_.through) {
    if (Outcome outcome = options_.through(name_, message); !outcome) return outcome;
  }
  const std::lock_guard lock(state.mutex);
  const StoreReport before = state.store->report();
  if (before.sequence == message.header().sequence && before.digest == message.digest() &&
      before.state == message.header().state) {
    return Outcome::ok();  // another connection of the same sender was first
  }
  Outcome outcome = state.store->put(message);
  if (outcome && options_.kept) options_.kept(name_, message, *state.store);
  return outcome;
}

Outcome Session::answer_offer(const OfferPayload& offer) {
  Outcome result;
  const std::shared_ptr<KeptState> state = states_->find(name_, true, &result);
  if (state == nullptr || is_settled(*state, offer, &result)) {
    return write_result_of(state.get(), result);
  }
  Connection& connection = stream_.connection();
  Assembly* assembly = partials_->take(name_, offer.digest, offer.message_bytes, &connection,
                                       connection.stall_ms());
  if (assembly == nullptr) {
    static constexpr char kFull[] = "the server has too many transfers under way";
    static_cast<void>(stream_.write(FrameKind::kAgain, kFull, sizeof(kFull) - 1));
    return ended(kFull);
  }
  Outcome collected;
  Expected<ByteBuffer> bytes = ended("nothing came");
  bool done = false, contents_are_good = false;
  try {
    collected = collect_pieces(stream_, offer, assembly, &contents_are_good);
    if (collected) {
      bytes = assembly->take();
      done = true;
    }
  } catch (const std::bad_alloc&) {
    collected = failure(AUXIN_CHECKPOINT_NO_MEMORY, "no memory for a transfer");
  }
  partials_->give_back(assembly, done);
  if (!collected) {
    static_cast<void>(stream_.write(FrameKind::kAgain, collected.sentence.data(),
                                    static_cast<uint32_t>(collected.sentence.size())));
    return collected;
  }
  Expected<MessageView> message = bytes ? MessageView::of(bytes->view()) : bytes.outcome();
  if (message && contents_are_good) message->trust_contents();
  if (message) EventLog::tell_message(AUXIN_CHECKPOINT_EVENT_RECEIVED, *message);
  result = message ? keep(*state, *message) : message.outcome();
  if (message) {
    EventLog::tell_message(state->checks_contents ? AUXIN_CHECKPOINT_EVENT_APPLIED
                                                  : AUXIN_CHECKPOINT_EVENT_KEPT,
                           *message, result.status);
  }
  if (bytes) partials_->reuse(std::move(*bytes));
  return write_result_of(state.get(), result);
}

// One message after the other, until the client has the newest image. The state is not locked while
// one travels: what is put meanwhile comes next.
Outcome Session::answer_read(const PositionPayload& position) {
  if (position.piece_bytes < kLeastPieceBytes || position.piece_bytes > kMostPieceBytes) {
    return failure(AUXIN_CHECKPOINT_MALFORMED, "a client wants impossible pieces");
  }
  Outcome result;
  const std::shared_ptr<KeptState> state = states_->find(name_, false, &result);
  if (state == nullptr) return write_result_of(nullptr, result);
  ChainPosition have{position.state, position.sequence};
  for (bool some = false;; some = true) {
    Expected<ByteBuffer> bytes = [&]() -> Expected<ByteBuffer> {
      const std::lock_guard lock(state->mutex);
      return state->store->message_after(have);
    }();
    if (!bytes) {
      result = bytes.outcome();
      const bool has_it = some || have.sequence != 0;
      if (result.status == AUXIN_CHECKPOINT_EMPTY && has_it) result = Outcome::ok();
      return write_result_of(state.get(), result);
    }
    const Expected<MessageView> message = MessageView::of(bytes->view());
    if (!message) return write_result_of(state.get(), message.outcome());
    const Answer answer = offer_message(
        stream_, *message, piece_bytes_for(message->bytes().size(), position.piece_bytes), nullptr);
    if (!answer.came) return answer.outcome;
    if (!answer.outcome) return write_result_of(state.get(), answer.outcome);
    have = {message->header().state, message->header().sequence};
  }
}

Outcome Session::answer_list() {
  const Expected<std::vector<std::string>> names = states_->names();
  if (!names) return write_result_of(nullptr, names.outcome());
  for (const std::string& name : *names) {
    Outcome opened;
    const std::shared_ptr<KeptState> state = states_->find(name, false, &opened);
    if (state == nullptr) continue;
    EntryPayload entry{};
    name.copy(entry.name, kNameBytes - 1);
    {
      const std::lock_guard lock(state->mutex);
      entry.kept = record_of(state->store->report());
    }
    if (Outcome outcome = stream_.write(FrameKind::kEntry, &entry, sizeof(entry)); !outcome) {
      return outcome;
    }
  }
  return write_result_of(nullptr, Outcome::ok());
}

}  // namespace auxin::checkpoint
