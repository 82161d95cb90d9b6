// SPDX-License-Identifier: Apache-2.0
//
// The binding to one ORB: which request a thread works for, asked of the ORB's own object by the
// offsets of the join-point map. For stock omniORB 4.2 (maps/omniorb-4.2.toml).
//
// Nothing of the ORB's headers is included: the numbers are data, checked against the headers by a
// test of metamarkers/. A binding without offsets (an annotated middleware) tells its requests by
// auxin_request_begin / auxin_request_end instead.
//
// Thread safety: set_offsets before the server's main; the rest on any thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "metamarkers/join_point_map.h"

namespace auxin::req {

// Takes the numbers from the map. False: the map lacks some (the ORB is then not bound). Two things
// may be missing: without strand.address no connection is taken for one of calls out, without
// task.* no task's limit is lifted.
bool bind_orb(const markers::JoinPointMap& map);
bool orb_bound();

// The socket and GIOP request id of the request object that a dispatcher works on. False: the id is
// not known yet (GIOP 1.0 and 1.1 before the header was read) or the object has no connection.
bool request_of(uint64_t request_object, int* socket, uint32_t* request_id);

// True if `stream` is the one over which the request object replies (not one of a call out).
bool is_stream_of(uint64_t request_object, uint64_t stream);

// True if the strand is a connection that this process opened, for calls out.
bool is_outgoing(uint64_t strand);

// The name of the operation that the request object asks for; "": not known. The ORB's, valid as
// long as the request.
const char* operation_of(uint64_t request_object);

// True if the task serves requests and waits for a free worker of the ORB's limited pool.
bool is_limited_task(uint64_t task);
// Makes it run at once, on a thread of its own if need be. Before the ORB has looked at it.
void lift_limit(uint64_t task);

// The fresh part of a stream's output buffer, whose bytes nobody has set: a reply's alignment
// padding comes from there.
void* output_buffer(uint64_t stream, size_t* size_bytes);

// The error of poll after which the ORB's monitor thread looks at all its connections again at once
// and not only at its next regular look, up to 50 ms later. 0: there is none.
int rescan_error();

}  // namespace auxin::req
