// SPDX-License-Identifier: Apache-2.0
#include "primary.h"

#include <poll.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "protocol.h"

namespace server_group {
namespace {

constexpr uint64_t kAccountsId = 1;
constexpr size_t kFounders = 2;  // one death at any time is borne from the first answer on
constexpr int kSlowMs = 1000, kPatienceMs = 2000;

Accounts accounts;

int64_t now_ms() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

}  // namespace

Primary::Primary(const GroupDirectory& directory, uint64_t member, uint32_t batch,
                 auxin::checkpoint::ReceivedImage image)
    : directory_(directory),
      member_(member),
      batch_(batch),
      view_(directory.read_view()),
      listener_(Socket::listening_at(directory.socket())),
      patience_ends_ms_(now_ms() + kPatienceMs),
      image_(std::move(image)) {
  if (!listener_.is_valid()) {
    perror(directory.socket().c_str());
    exit(1);
  }
  state_.add_range(kAccountsId, &accounts, sizeof(accounts));
  if (image_.sequence() != 0) {
    state_.restore(image_);
  } else {
    state_.capture();
    image_.apply(state_.take_message());
  }
  if (!view_.has(member_)) view_.members.push_back(member_);
}

void Primary::serve() {
  for (;;) {
    const bool answers = may_answer();
    std::vector<pollfd> ready{{listener_.descriptor(), POLLIN, 0}};
    for (const Socket& client : clients_) {
      ready.push_back({answers ? client.descriptor() : -1, POLLIN, 0});
    }
    // So that a backup that ends is missed when nobody asks for anything.
    for (const Backup& backup : backups_) ready.push_back({backup.socket.descriptor(), POLLIN, 0});
    if (poll(ready.data(), ready.size(), answers ? -1 : 20) <= 0) continue;
    std::vector<size_t> asking;
    for (size_t i = 0; i < clients_.size() && asking.size() < batch_; ++i) {
      if (ready[i + 1].revents != 0) asking.push_back(i);
    }
    size_t at = clients_.size() + 1;
    for (auto backup = backups_.begin(); backup != backups_.end(); ++at) {
      if (ready[at].revents == 0) {
        ++backup;
        continue;
      }
      view_.remove(backup->member);  // it says nothing unasked: it is gone
      view_changed_ = true;
      backup = backups_.erase(backup);
    }
    if (!asking.empty()) do_batch(asking);
    if (ready[0].revents != 0) accept();
  }
}

// After a takeover, members of the view that live are waited for: until the first answer, each of
// them could still be the next primary. And a group is not founded by one alone.
bool Primary::may_answer() {
  if (view_.number == 0) return backups_.size() + 1 >= kFounders;
  bool waits = false;
  for (const uint64_t member : std::vector<uint64_t>(view_.members)) {
    const bool is_backup =
        std::any_of(backups_.begin(), backups_.end(),
                    [&](const Backup& each) { return each.member == member; });
    if (member == member_ || is_backup) continue;
    if (directory_.is_alive(member) && now_ms() < patience_ends_ms_) {
      waits = true;
      continue;
    }
    view_.remove(member);
    view_changed_ = true;
  }
  return !waits;
}

void Primary::accept() {
  Socket caller = listener_.accept();
  Hello hello{};
  if (!caller.is_valid()) return;
  caller.limit_ms(kSlowMs);
  if (!caller.receive(&hello)) return;
  if (hello.caller == Caller::kClient) clients_.push_back(std::move(caller));
  if (hello.caller == Caller::kBackup) admit({hello.member, std::move(caller)});
}

void Primary::admit(Backup backup) {
  const auxin::checkpoint::Message base = image_.to_base();
  uint64_t sequence = 0;
  if (auxin_checkpoint_message_send(base.get(), backup.socket.descriptor()) !=
          AUXIN_CHECKPOINT_OK ||
      !backup.socket.receive(&sequence) || sequence != image_.sequence()) {
    return;
  }
  if (!view_.has(backup.member)) {
    view_.members.push_back(backup.member);
    view_changed_ = true;
  }
  backups_.push_back(std::move(backup));
  // Until somebody has had an answer, there is nothing that only members of the view know.
  if (view_.number != 0) write_view();
}

void Primary::do_batch(const std::vector<size_t>& ready) {
  std::vector<Reply> replies;
  std::vector<size_t> gone;
  bool changed = false;
  for (const size_t client : ready) {
    Request request{};
    if (!clients_[client].receive(&request)) {
      gone.push_back(client);
      continue;
    }
    bool this_one = false;
    replies.push_back({client, accounts.answer(request, &this_one)});
    changed = changed || this_one;
  }
  if (changed) {
    state_.capture();
    const auxin::checkpoint::Message increment = state_.take_message();
    image_.apply(increment);
    send_to_backups(increment);
  }
  write_view();
  for (const Reply& reply : replies) {
    if (!clients_[reply.client].send(reply.answer)) gone.push_back(reply.client);
  }
  std::sort(gone.begin(), gone.end());
  for (size_t i = gone.size(); i-- > 0;) {
    clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(gone[i]));
  }
}

void Primary::send_to_backups(const auxin::checkpoint::Message& increment) {
  for (auto backup = backups_.begin(); backup != backups_.end();) {
    uint64_t sequence = 0;
    if (auxin_checkpoint_message_send(increment.get(), backup->socket.descriptor()) ==
            AUXIN_CHECKPOINT_OK &&
        backup->socket.receive(&sequence) && sequence == increment.info().sequence) {
      ++backup;
      continue;
    }
    view_.remove(backup->member);
    view_changed_ = true;
    backup = backups_.erase(backup);
  }
}

void Primary::write_view() {
  if (!view_changed_) return;
  if (!directory_.write_view(&view_)) {
    perror("group_server: the view can't be written");
    exit(1);  // another member goes on, by the view that is there
  }
  view_changed_ = false;
  printf("view %llu of %zu\n", static_cast<unsigned long long>(view_.number),
         view_.members.size());
}

}  // namespace server_group
