// SPDX-License-Identifier: Apache-2.0
//
// Requests from the command line; each is done exactly once, whichever members die meanwhile:
//
//     account_client DIRECTORY REQUEST...
//     REQUEST: read ACCOUNT, deposit ACCOUNT AMOUNT, transfer FROM TO AMOUNT
//
// Prints the balance of the (first) account after each.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "group_client.h"

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  const auto usage = [] {
    fprintf(stderr,
            "usage: account_client DIRECTORY {read ACCOUNT | deposit ACCOUNT AMOUNT | "
            "transfer FROM TO AMOUNT}...\n");
    return 2;
  };
  if (words.size() < 3) return usage();
  try {
    server_group::GroupClient client(words[0]);
    for (size_t i = 1; i < words.size();) {
      const std::string& verb = words[i];
      const size_t length = verb == "read" ? 2 : verb == "deposit" ? 3 : verb == "transfer" ? 4 : 0;
      if (length == 0 || i + length > words.size()) return usage();
      const auto number = [&](size_t at) { return strtol(words[i + at].c_str(), nullptr, 10); };
      const auto account = static_cast<uint32_t>(number(1));
      const int64_t balance =
          verb == "read"      ? client.read(account)
          : verb == "deposit" ? client.deposit(account, number(2))
                              : client.transfer(account, static_cast<uint32_t>(number(2)),
                                                number(3));
      printf("%lld\n", static_cast<long long>(balance));
      i += length;
    }
  } catch (const std::exception& problem) {
    fprintf(stderr, "account_client: %s\n", problem.what());
    return 1;
  }
}
