// SPDX-License-Identifier: Apache-2.0
//
// One transaction from the command line; the words are done in order, all of them or none:
//
//     file_shell SOCKET { put NAME TEXT | append NAME TEXT | remove NAME | get NAME }...
//
// Status 0: committed. 1: it can't be, nothing was changed. 2: wrong arguments.
#include <cstdio>
#include <string>
#include <vector>

#include "file_client.h"

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  const auto usage = [] {
    fprintf(stderr,
            "usage: file_shell SOCKET {put NAME TEXT | append NAME TEXT | remove NAME | get NAME}"
            "...\n");
    return 2;
  };
  for (size_t i = 1; i < words.size();) {
    const bool has_text = words[i] == "put" || words[i] == "append";
    if (!has_text && words[i] != "remove" && words[i] != "get") return usage();
    i += has_text ? 3 : 2;
    if (i > words.size()) return usage();
  }
  if (words.size() < 3) return usage();
  try {
    file_service::FileClient client(words[0]);
    std::string read;
    client.run([&](file_service::FileClient& files) {
      read.clear();  // it may be done again
      for (size_t i = 1; i < words.size(); i += 2) {
        const std::string &name = words[i + 1], &verb = words[i];
        if (verb == "get") {
          read += files.read(name) + "\n";
        } else if (verb == "append") {
          files.write(name, files.read(name).size(), words[i++ + 2]);
        } else {
          files.truncate(name, 0);
          if (verb == "put") files.write(name, 0, words[i++ + 2]);
        }
      }
    });
    fputs(read.c_str(), stdout);
  } catch (const std::exception& problem) {
    fprintf(stderr, "file_shell: %s\n", problem.what());
    return 1;
  }
}
