// SPDX-License-Identifier: Apache-2.0
//
// Prints the [offsets] section of maps/omniorb-4.2.toml as the installed omniORB headers give it.
// A test compares its output with the map. Never part of libauxin: it includes the ORB's headers.
//
// Fields are private there and classes have bases, so: access is opened, and a difference of
// addresses within an object of the right size replaces offsetof. Nothing is constructed.
#include <cstddef>
#include <cstdint>
#include <cstdio>

// Everything that the ORB's headers include themselves, before access is opened.
#include <poll.h>
#include <sys/time.h>

#include <cstdlib>
#include <cstring>
#include <iosfwd>
#include <list>
#include <map>
#include <string>
#include <vector>

#pragma GCC diagnostic ignored "-Winvalid-offsetof"
#define private public
#define protected public
#include <omniORB4/CORBA.h>
#include <omniORB4/giopEndpoint.h>
#include <omniORB4/internal/SocketCollection.h>
#include <omniORB4/internal/giopStrand.h>
#include <omniORB4/internal/giopStream.h>
#include <omniORB4/internal/GIOP_S.h>
#include <omniORB4/tcpConnection.h>
#include <omniORB4/unixConnection.h>
#undef private
#undef protected

namespace {

using omni::GIOP_S;
using omni::giopConnection;
using omni::giopStrand;
using omni::giopStream;
using omni::SocketHolder;
using omni::tcpConnection;
using omni::unixConnection;

// An address at which no object is, aligned for anything; only addresses are computed from it.
alignas(64) unsigned char room[1 << 16];

template <typename Object>
Object* pretended() {
  return reinterpret_cast<Object*>(room);
}
template <typename Field>
long distance(const void* object, const Field* field) {
  return static_cast<long>(reinterpret_cast<const unsigned char*>(field) -
                           static_cast<const unsigned char*>(object));
}
void print(const char* name, long value) { printf("%s = %ld\n", name, value); }

}  // namespace

int main() {
  GIOP_S* server = pretended<GIOP_S>();
  giopStream* stream_of_server = server;
  print("giop_s.stream", distance(server, stream_of_server));
  print("giop_s.request_id", distance(server, &stream_of_server->pd_request_id));
  print("giop_s.strand", distance(server, &stream_of_server->pd_strand));
  print("giop_s.operation", distance(server, &server->pd_operation));

  giopStream* stream = pretended<giopStream>();
  print("stream.output_marker", distance(stream, &stream->pd_outb_mkr));
  print("stream.output_end", distance(stream, &stream->pd_outb_end));

  giopStrand* strand = pretended<giopStrand>();
  print("strand.connection", distance(strand, &strand->connection));
  print("strand.address", distance(strand, &strand->address));

  tcpConnection* tcp = pretended<tcpConnection>();
  giopConnection* connection = tcp;
  SocketHolder* holder = tcp;
  print("connection.socket", distance(connection, &holder->pd_socket));
  unixConnection* local = pretended<unixConnection>();
  giopConnection* local_connection = local;
  SocketHolder* local_holder = local;
  if (distance(local_connection, &local_holder->pd_socket) !=
      distance(connection, &holder->pd_socket)) {
    return 1;  // the binding takes one for the other
  }

  omniTask* task = pretended<omniTask>();
  print("task.category", distance(task, &task->pd_category));
  print("task.purpose", distance(task, &task->pd_purpose));
  static_assert(omniTask::AnyTime == 0 && omniTask::ImmediateDispatch == 1 &&
                omniTask::ServerUpcall == 1);  // as libmeta_req/orb_binding.cpp has them
  return 0;
}
