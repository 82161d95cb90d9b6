// SPDX-License-Identifier: Apache-2.0
//
// The reliable server of paper 001, §4.2: a stable segment, read and written by remote procedure
// calls. Kill it whenever you like and start it again, or another one beforehand: no call is lost,
// and none is executed twice.
//
//   reliable_server FILE     (a memory made by `auxin stm create FILE`)
//
// The paper's text stands between the two lines; around it, the segment and the port are made or
// found, and a transaction that could not be is aborted.
#include <cstdio>
#include <cstring>

#include "segment_message.h"

using auxin::stm::Failure;
using auxin::stm::Memory;
using auxin::stm::stable_ptr;
using auxin::stm::Status;
using auxin::stm::Transaction;

namespace {

// A conflict: the transaction is tried again. A client that is gone: its message is dropped.
void resume(Transaction& transaction, const Failure& failure) {
  if (transaction.active() && failure.status() == Status::kNoRight) {
    transaction.Commit();
  } else if (transaction.active()) {
    transaction.Abort();
  }
  if (!failure.retryable() && failure.status() != Status::kNoRight) throw failure;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: reliable_server FILE\n");
    return 2;
  }
  try {
    Memory memory = Memory::open(argv[1]);
    stable_ptr<Segment> segment;
    StablePort server_port; /* stable port of the server */
    auxin::stm::atomically(memory, [&](Transaction& t) {
      segment = t.root<Segment>("segment of the server");
      server_port = StablePort::find("segment server");
      if (segment) return;
      segment = t.make<Segment>().reference();
      t.set_root("segment of the server", segment);
      server_port = StablePort::create("segment server");
    });
    Segment& s = *segment; /* stable segment */
    Transaction TServer;   /* transaction of the server */
    printf("reliable_server: ready\n");
    fflush(stdout);

    while (true) try {
        // -----------------------------------------------------------------------------
        Message client_message; /* message received from a client */
        Page result_page = "";  /* result page */
        /* Atomic transaction : receive a message, treats an operation, sends a result */
        TServer.Begin();
        server_port.receive(client_message);
        switch (client_message.request) {
          case WRITE_PAGE:
            s.Open();
            s.write_page(client_message.page_number, client_message.page);
            s.Close();
            break;
          case READ_PAGE:
            s.Open();
            s.read_page(client_message.page_number, result_page);
            s.Close();
            break;
          case RESULT:
            break;
        }
        Message message_result = {client_message.sender_port, server_port, RESULT,
                                  client_message.page_number, {}};
        memcpy(message_result.page, result_page, sizeof(Page));
        client_message.sender_port.send(message_result);
        TServer.Commit();
        // -----------------------------------------------------------------------------
      } catch (const Failure& failure) {
        resume(TServer, failure);
      }
  } catch (const Failure& failure) {
    fprintf(stderr, "reliable_server: %s\n", failure.what());
    return 1;
  }
}
