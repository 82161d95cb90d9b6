// SPDX-License-Identifier: Apache-2.0
//
// The message between the reliable server and its clients (paper 001, §4.2).
#pragma once

#include "auxin/stm_entities.h"
#include "segment.h"

using auxin::stm::StablePort; /* stable port identifier */
enum Request_t { READ_PAGE, WRITE_PAGE, RESULT };
struct Message {
  StablePort receiver_port;
  StablePort sender_port;
  Request_t request;
  int page_number;
  Page page;

  // The right to answer travels with the message.
  template <typename Visit>
  void each_port(Visit visit) { visit(sender_port); }
};
