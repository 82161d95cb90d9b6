// SPDX-License-Identifier: Apache-2.0
//
// A client of the reliable server (paper 001, §4.2): writes page 0 of the segment and reads it
// back, again and again, by remote procedure calls.
//
//   reliable_client FILE [ROUNDS]
//
// The paper's text stands between the two lines. How far the client is stands in a stable object
// and changes in the transactions that send and receive, so a client that was killed goes on where
// it was when it is started again: with the same request, if that was on its way.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "segment_message.h"

using auxin::stm::atomically;
using auxin::stm::Failure;
using auxin::stm::Memory;
using auxin::stm::stable_ptr;
using auxin::stm::Transaction;

namespace {

struct Progress : auxin::stm::Stable {
  int calls = 0;        // completed
  bool waiting = false; // the next one has been sent
  StablePort client_port;
};

// Calls number 0, 2, 4 … write what calls 1, 3, 5 … read.
Request_t request_of(int call) { return call % 2 == 0 ? WRITE_PAGE : READ_PAGE; }
void text_of(int call, Page& page) { snprintf(page, sizeof(Page), "round %d", call / 2); }

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: reliable_client FILE [ROUNDS]\n");
    return 2;
  }
  const int calls = 2 * (argc == 3 ? atoi(argv[2]) : 1);
  try {
    Memory memory = Memory::open(argv[1]);
    const StablePort server_port = StablePort::find("segment server");
    if (!server_port) {
      fprintf(stderr, "reliable_client: no server has been started in this memory yet\n");
      return 1;
    }
    const stable_ptr<Progress> progress = atomically(memory, [&](Transaction& t) {
      stable_ptr<Progress> found = t.root<Progress>("progress of the client");
      if (found) return found;
      auto made = t.make<Progress>();
      made->client_port = StablePort::create("segment client");
      t.set_root("progress of the client", made.reference());
      return made.reference();
    });
    Progress& mine = *progress;
    Transaction TClient;                                          /* transaction of the client */
    const StablePort client_port =
        StablePort::find("segment client"); /* stable port of the client */
    Page page;                                                    /* the page to write */
    Message result_message;

    for (;;) {
      TClient.Begin();
      mine.Open(1'000'000);
      const int call = mine.calls;
      const bool waiting = mine.waiting;
      TClient.Commit();
      if (call >= calls) break;
      text_of(call, page);
      if (!waiting) {
        // -------------------------------------------------------------------------------
        TClient.Begin(); /* Atomic send of the request */
        Message client_message = {server_port, client_port, request_of(call), 0, {}};
        memcpy(client_message.page, page, sizeof(Page));
        server_port.send(client_message);
        mine.Open();
        mine.waiting = true;
        TClient.Commit();
      }
      TClient.Begin(); /* atomic wait for a result */
      client_port.receive(result_message);
      mine.Open();
      mine.waiting = false;
      mine.calls = call + 1;
      TClient.Commit();
      // ---------------------------------------------------------------------------------
      if (request_of(call) == READ_PAGE && strcmp(result_message.page, page) != 0) {
        fprintf(stderr, "reliable_client: read \"%s\", wrote \"%s\"\n", result_message.page, page);
        return 1;
      }
    }
    printf("reliable_client: %d calls, the last read says: %s\n", calls, result_message.page);
    return 0;
  } catch (const Failure& failure) {
    fprintf(stderr, "reliable_client: %s\n", failure.what());
    return 1;
  }
}
