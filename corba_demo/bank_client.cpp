// SPDX-License-Identifier: Apache-2.0
//
// A bank's customer: one operation from the command line, one call (or open and one call), no
// second try. Prints what the bank answers. Exit status: 0 answered, 1 an exception, 2 wrong usage.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "teller_address.h"

namespace {

constexpr char kUsage[] =
    "usage: bank_client ADDRESS COMMAND [ARGUMENT...] [-ORB...]\n"
    "ADDRESS: HOST:PORT, corbaloc::HOST:PORT/Bank, or an IOR\n"
    "  open OWNER               create the account or find it\n"
    "  deposit OWNER AMOUNT     print the new balance\n"
    "  withdraw OWNER AMOUNT    print the new balance\n"
    "  balance OWNER\n"
    "  statement OWNER\n"
    "  note OWNER TEXT          one way: nobody answers\n"
    "  transfer FROM TO AMOUNT\n"
    "  order OWNER AMOUNT       queue a payment\n"
    "  drain                    wait until the queue is empty\n"
    "  audit                    number of accounts and sum of balances\n"
    "  fingerprint              the whole state as text\n"
    "  ping\n"
    "  echo SIZE_BYTES          send that much there and back\n"
    "  now                      the server's clock, ns since 1970\n"
    "  token                    a random token\n";

using Arguments = std::vector<std::string>;

struct Command {
  size_t argument_count;
  std::function<void(Bank::Teller_ptr, const Arguments&)> run;
};

Bank::Account_ptr open_account(Bank::Teller_ptr teller, const std::string& owner) {
  return teller->open(owner.c_str());
}

CORBA::LongLong amount_from(const std::string& text) {
  char* end = nullptr;
  const long long amount = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0') throw std::invalid_argument(text + " is not a number");
  return amount;
}

void print_statement(Bank::Teller_ptr teller, const Arguments& a) {
  const Bank::Account_var account = open_account(teller, a[0]);
  Bank::EntryList_var statement = account->statement();
  for (CORBA::ULong i = 0; i < statement->length(); ++i) {
    const Bank::Entry& entry = statement[i];
    std::cout << entry.sequence << '\t' << entry.amount << '\t' << entry.balance_after << '\t'
              << entry.what << '\n';
  }
}

void echo(Bank::Teller_ptr teller, const Arguments& a) {
  const CORBA::LongLong size_bytes = amount_from(a[0]);
  Bank::Octets sent;
  sent.length(static_cast<CORBA::ULong>(size_bytes));
  for (CORBA::ULong i = 0; i < sent.length(); ++i) {
    sent[i] = static_cast<CORBA::Octet>(i * 7 + i / 251);
  }
  Bank::Octets_var received = teller->echo(sent);
  bool same = received->length() == sent.length();
  for (CORBA::ULong i = 0; same && i < sent.length(); ++i) same = received[i] == sent[i];
  if (!same) throw std::runtime_error("the echo differs from what was sent");
  std::cout << received->length() << '\n';
}

const std::map<std::string, Command>& commands() {
  static const std::map<std::string, Command> table = {
      {"open", {1, [](Bank::Teller_ptr teller, const Arguments& a) {
         const Bank::Account_var account = open_account(teller, a[0]);
         const CORBA::String_var name = account->name();
         std::cout << name << '\n';
       }}},
      {"deposit", {2, [](Bank::Teller_ptr teller, const Arguments& a) {
         const Bank::Account_var account = open_account(teller, a[0]);
         std::cout << account->deposit(amount_from(a[1])) << '\n';
       }}},
      {"withdraw", {2, [](Bank::Teller_ptr teller, const Arguments& a) {
         const Bank::Account_var account = open_account(teller, a[0]);
         std::cout << account->withdraw(amount_from(a[1])) << '\n';
       }}},
      {"balance", {1, [](Bank::Teller_ptr teller, const Arguments& a) {
         const Bank::Account_var account = open_account(teller, a[0]);
         std::cout << account->balance() << '\n';
       }}},
      {"statement", {1, print_statement}},
      {"note", {2, [](Bank::Teller_ptr teller, const Arguments& a) {
         const Bank::Account_var account = open_account(teller, a[0]);
         account->note(a[1].c_str());
       }}},
      {"transfer", {3, [](Bank::Teller_ptr teller, const Arguments& a) {
         teller->transfer(a[0].c_str(), a[1].c_str(), amount_from(a[2]));
       }}},
      {"order", {2, [](Bank::Teller_ptr teller, const Arguments& a) {
         teller->post_order(a[0].c_str(), amount_from(a[1]));
       }}},
      {"drain", {0, [](Bank::Teller_ptr teller, const Arguments&) { teller->drain(); }}},
      {"audit", {0, [](Bank::Teller_ptr teller, const Arguments&) {
         CORBA::ULong account_count = 0;
         const CORBA::LongLong sum = teller->audit(account_count);
         std::cout << account_count << ' ' << sum << '\n';
       }}},
      {"fingerprint", {0, [](Bank::Teller_ptr teller, const Arguments&) {
         const CORBA::String_var text = teller->fingerprint();
         std::cout << text;
       }}},
      {"ping", {0, [](Bank::Teller_ptr teller, const Arguments&) { teller->ping(); }}},
      {"echo", {1, echo}},
      {"now", {0, [](Bank::Teller_ptr teller, const Arguments&) {
         std::cout << teller->now() << '\n';
       }}},
      {"token", {0, [](Bank::Teller_ptr teller, const Arguments&) {
         const CORBA::String_var token = teller->random_token();
         std::cout << token << '\n';
       }}},
  };
  return table;
}

int run(int argc, char** argv) {
  const char* options[][2] = {{"giopMaxMsgSize", "67108864"}, {nullptr, nullptr}};
  const CORBA::ORB_var orb = CORBA::ORB_init(argc, argv, "", options);
  if (argc < 3) {
    std::cerr << kUsage;
    return 2;
  }
  const auto command = commands().find(argv[2]);
  const Arguments arguments(argv + 3, argv + argc);
  if (command == commands().end() || command->second.argument_count != arguments.size()) {
    std::cerr << kUsage;
    return 2;
  }
  const Bank::Teller_var teller = bank::find_teller(orb, argv[1]);
  command->second.run(teller, arguments);
  std::cout.flush();
  orb->destroy();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Bank::InsufficientFunds& e) {
    std::cerr << "InsufficientFunds: balance " << e.balance << ", requested " << e.requested
              << '\n';
  } catch (const Bank::NoSuchAccount& e) {
    std::cerr << "NoSuchAccount: " << e.name << '\n';
  } catch (const CORBA::SystemException& e) {
    const char* const minor = e.NP_minorString();
    std::cerr << e._name() << " (" << (minor != nullptr ? minor : "no minor code") << ")\n";
  } catch (const CORBA::Exception& e) {
    std::cerr << e._name() << '\n';
  } catch (const std::exception& e) {
    std::cerr << "bank_client: " << e.what() << '\n';
  }
  return 1;
}
