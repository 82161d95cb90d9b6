// SPDX-License-Identifier: Apache-2.0
//
// How a conversation begins: each side shows that it knows the secret, if there is one, without
// telling it; the client names the state that it speaks of.
//
// What follows is checked against accidents, not signed: between hosts that others can listen to or
// write between, the connection belongs into a tunnel.
#pragma once

#include <string>

#include "checkpoint/transport/frame.h"

namespace auxin::checkpoint {

// 1 to 47 of A-Z a-z 0-9 . _ -, not beginning with a point: it may be a file's name.
bool is_state_name(const std::string& name);

// *max_message_bytes: what the server takes. kWrongCall: the server refused it (the secret), or
// could not prove that it knows the secret; else as FrameStream.
Outcome greet_server(FrameStream& stream, const std::string& secret, const std::string& name,
                     uint64_t* max_message_bytes);
// *name: empty, or a state's name. kWrongCall: the client does not know the secret.
Outcome greet_client(FrameStream& stream, const std::string& secret, uint64_t max_message_bytes,
                     std::string* name);

}  // namespace auxin::checkpoint
