// SPDX-License-Identifier: Apache-2.0
//
// short_lived: locks that requests make and destroy, so that the heap gives their addresses to
// other ones; and many locks that are alike, of which a request takes two.
#include <array>
#include <map>
#include <memory>
#include <mutex>

#include "known_server.h"

namespace known {

class ShortLived : public Servant {
 public:
  ShortLived() : Servant(Mix{4, 2, 2}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    return append(*find(token % kAccounts), token);
  }
  CORBA::LongLong take(CORBA::Long token) override {
    linger(token);
    std::lock_guard<std::mutex> hold(accounts_lock_);
    accounts_.erase(token % kAccounts);
    return made_;
  }
  CORBA::LongLong look(CORBA::Long token) override {
    linger(token);
    const size_t from = static_cast<size_t>(token) % shelves_.size();
    const size_t to = (from + 1 + static_cast<size_t>(token) / 64 % 7) % shelves_.size();
    std::scoped_lock hold(shelves_[from].lock, shelves_[to].lock);
    return shelves_[to].ledger.append(shelves_[from].ledger.append(token));
  }
  Dump* state() override {
    std::lock_guard<std::mutex> hold(accounts_lock_);
    return dump_of({made_, static_cast<int64_t>(accounts_.size())});
  }

 private:
  static constexpr CORBA::Long kAccounts = 5;

  struct Account {
    std::mutex lock;
    History ledger;
  };

  // Kept apart, so that the manifest can name it.
  [[gnu::noinline]] static int64_t append(Account& account, CORBA::Long token) {
    std::lock_guard<std::mutex> hold(account.lock);
    return account.ledger.append(token);
  }
  [[gnu::noinline]] std::shared_ptr<Account> find(CORBA::Long name) {
    std::lock_guard<std::mutex> hold(accounts_lock_);
    std::shared_ptr<Account>& account = accounts_[name];
    if (!account) {
      account = std::make_shared<Account>();
      account->ledger.append(++made_);
    }
    return account;
  }

  std::mutex accounts_lock_;
  std::map<CORBA::Long, std::shared_ptr<Account>> accounts_;
  int64_t made_ = 0;
  std::array<Account, 40> shelves_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::ShortLived servant;
  return known::serve(argc, argv, servant);
}
