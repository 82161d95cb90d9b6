// SPDX-License-Identifier: Apache-2.0
#include "replication/request_flow.h"

#include <string.h>

#include "libmeta_os/counters.h"
#include "libmeta_os/guard.h"
#include "libmeta_req/orb_binding.h"
#include "metamarkers/annotation.h"
#include "metamarkers/interception.h"
#include "metamarkers/marker_stack.h"
#include "replication/activity.h"
#include "replication/connection.h"
#include "replication/connection_choice.h"
#include "replication/ordered_section.h"
#include "replication/replay.h"
#include "replication/replica.h"
#include "replication/request_events.h"
#include "replication/request_turns.h"

namespace auxin::replication {
namespace {

RequestFlow flow{};

// The request object (omniORB's GIOP_S) that this thread dispatches, 0: none.
thread_local constinit uint64_t request_object = 0;
thread_local constinit RequestId request_id{};
thread_local constinit bool in_application = false;
thread_local constinit int upcalls = 0;  // nested: the application calls objects of its own
thread_local constinit bool reply_begun = false;

uint64_t name_request(int socket, uint32_t id) {
  Connection* connection = Connection::of(socket);
  if (connection == nullptr) return 0;
  const uint32_t ordinal = connection->tracker().take(id);
  if (ordinal == 0) return 0;
  request_id = RequestId{connection->number(), id, ordinal};
  return request_activity_id(connection->number(), ordinal);
}

uint64_t resolve_request() {
  int socket = -1;
  uint32_t id = 0;
  if (request_object == 0 || !req::request_of(request_object, &socket, &id)) return 0;
  return name_request(socket, id);
}

void enter_application() {
  os::counters().requests.fetch_add(1, std::memory_order_relaxed);
  in_application = true;
  if (replica != nullptr && (replica->leads() || replica->mode() == Mode::kOff))
    replica->control().requests.fetch_add(1, std::memory_order_relaxed);
  if (!flow.name_activities || !replicated()) return;
  end_look_up();
  Activity* activity = current_activity();
  ThreadSlot* slot = replica->enter();
  slot->request_id.store(request_id.request, std::memory_order_relaxed);
  slot->activity_position.store(replica->log().end(), std::memory_order_relaxed);
  strncpy(slot->operation, req::operation_of(request_object), sizeof slot->operation - 1);
  slot->activity.store(activity->id, std::memory_order_relaxed);
  if (meta_object != nullptr && activity->id != 0)
    meta_object->requestBeforeApplication(request_id);
}

void leave_application() {
  if (!in_application) return;
  in_application = false;
  if (!flow.name_activities || !replicated()) return;
  replica->enter()->activity.store(0, std::memory_order_relaxed);
  if (meta_object != nullptr && request_id.connection != 0)
    meta_object->requestAfterApplication(request_id);
}

void take_up_request() {
  request_id = RequestId{};
  reply_begun = false;
  begin_request(resolve_request);
  if (replicated()) begin_look_up();
}

void lay_down_request() {
  leave_application();
  if (!in_request()) return;
  end_look_up();
  end_settling();
  end_turn();
  const uint64_t id = current_activity()->id;
  if (reply_begun && meta_object != nullptr) meta_object->replyHasBeenSent(request_id);
  reply_begun = false;
  end_request();
  if (id != 0 && replicated() && !replica->leads()) replay.finished(id);
  request_id = RequestId{};
}

bool on_enter(const markers::JoinPoint& point, markers::Arguments& arguments, uint64_t*) {
  os::MetaLevel meta;
  switch (point.role) {
    case markers::Role::kDispatcher:
      request_object = arguments.integer[0];
      return true;
    case markers::Role::kRequest:
      if (flow.name_activities) take_up_request();
      return true;
    case markers::Role::kUpcall:
      if (flow.name_activities) ++upcalls;
      enter_application();
      return true;
    case markers::Role::kOutputBegins:
      // The ORB is about to take the connection for writing. On the request's own stream: the
      // reply, so the application is done with it.
      if (req::is_stream_of(request_object, arguments.integer[0])) leave_application();
      if (flow.name_activities && replicated() && !replica->leads()) {
        const uint64_t activity = current_activity()->id;
        if (activity != 0) replay.await_send_turn(activity);
      }
      return true;
    case markers::Role::kSuppressed:
      return !(replicated() && (!replica->leads() || req::is_outgoing(arguments.integer[0])));
    case markers::Role::kContentionPoint:
      if (flow.name_activities && replicated()) enter_ordered_section(point);
      return true;
    case markers::Role::kContentionEnds:
      if (flow.name_activities && replicated()) end_ordered_section();
      return true;
    case markers::Role::kConnectionChoice:
      if (flow.name_activities && replicated()) enter_connection_choice();
      return true;
    case markers::Role::kWorkerTask:
      if (replicated()) worker_task(arguments.integer[1]);
      return true;
    case markers::Role::kMemoryStream:
      arguments.integer[2] = 1;
      return true;
    default:
      return true;
  }
}

void on_leave(const markers::JoinPoint& point, uint64_t) {
  os::MetaLevel meta;
  switch (point.role) {
    case markers::Role::kDispatcher:
      lay_down_request();
      request_object = 0;
      return;
    case markers::Role::kRequest:
      lay_down_request();
      return;
    case markers::Role::kUpcall:
      leave_application();
      if (--upcalls == 0 && flow.name_activities && replicated()) begin_settling();
      return;
    case markers::Role::kContentionPoint:
      if (flow.name_activities && replicated()) leave_ordered_section();
      return;
    case markers::Role::kConnectionChoice:
      if (flow.name_activities && replicated()) leave_connection_choice();
      return;
    case markers::Role::kOutputBegins: {
      if (!flow.define_output) return;
      const markers::Marker* marker =
          markers::this_thread().innermost(markers::Role::kOutputBegins);
      if (marker == nullptr) return;
      size_t size = 0;
      void* buffer = req::output_buffer(marker->argument, &size);
      if (size > 0) memset(buffer, 0, size);
      return;
    }
    default:
      return;
  }
}

void annotated_begin(int fd, uint32_t id) {
  os::MetaLevel meta;
  if (!flow.name_activities || !replicated()) return;
  take_up_request();
  Activity* activity = current_activity();
  activity->id = name_request(fd, id);
}

void annotated_end(int, uint32_t) {
  os::MetaLevel meta;
  if (flow.name_activities && replicated()) lay_down_request();
}

}  // namespace

void announce_reply_bytes_slow(uint64_t connection) {
  if (reply_begun || request_id.connection != connection) return;
  reply_begun = true;
  meta_object->replyStart(request_id);
}

bool current_request(RequestId* id) {
  if (!in_request() || request_id.connection == 0) return false;
  *id = request_id;
  return true;
}

void install_request_flow(const RequestFlow& wanted) {
  flow = wanted;
  using markers::Role, markers::role_bit;
  markers::Actions actions{on_enter, on_leave, role_bit(Role::kUpcall), 0};  // requests are counted
  if (flow.name_activities) {
    actions.leave_at = role_bit(Role::kDispatcher) | role_bit(Role::kRequest) |
                       role_bit(Role::kUpcall) | role_bit(Role::kContentionPoint) |
                       role_bit(Role::kConnectionChoice);
    if (flow.define_output) actions.leave_at |= role_bit(Role::kOutputBegins);
    actions.enter_at = actions.leave_at | role_bit(Role::kOutputBegins) |
                       role_bit(Role::kSuppressed) | role_bit(Role::kContentionEnds) |
                       role_bit(Role::kWorkerTask);
    if (flow.define_output) actions.enter_at |= role_bit(Role::kMemoryStream);
  }
  markers::set_actions(actions);
  markers::set_request_annotations(markers::RequestAnnotations{annotated_begin, annotated_end});
}

}  // namespace auxin::replication
