// SPDX-License-Identifier: Apache-2.0
#include "libmeta_req/orb_binding.h"

#include <cerrno>

namespace auxin::req {
namespace {

struct Offsets {
  int64_t request_id;
  int64_t strand;
  int64_t stream;
  int64_t operation;
  int64_t strand_connection;
  int64_t strand_address;
  int64_t connection_socket;
  int64_t task_category;
  int64_t task_purpose;
  int64_t output_marker;
  int64_t output_end;
};
constinit Offsets offsets{};
constinit bool bound = false;

template <typename T>
T at(uint64_t object, int64_t offset) {
  return *reinterpret_cast<const T*>(object + static_cast<uint64_t>(offset));
}

constexpr int64_t kNone = INT64_MIN;  // of an offset that the map does not have
constexpr uint32_t kNoRequestId = 0xffffffff;  // the ORB's own mark for "not read yet"
constexpr int kAnyTime = 0, kImmediateDispatch = 1;  // omniTask::Category
constexpr int kServerUpcall = 1;                     // omniTask::Purpose

}  // namespace

bool bind_orb(const markers::JoinPointMap& map) {
  struct Wanted {
    const char* name;
    int64_t* target;
    bool necessary;  // false: without it one thing is not done, below
  };
  for (const Wanted& wanted :
       {Wanted{"giop_s.request_id", &offsets.request_id, true},
        Wanted{"giop_s.strand", &offsets.strand, true},
        Wanted{"giop_s.stream", &offsets.stream, true},
        Wanted{"giop_s.operation", &offsets.operation, true},
        Wanted{"strand.connection", &offsets.strand_connection, true},
        Wanted{"strand.address", &offsets.strand_address, false},
        Wanted{"connection.socket", &offsets.connection_socket, true},
        Wanted{"task.category", &offsets.task_category, false},
        Wanted{"task.purpose", &offsets.task_purpose, false},
        Wanted{"stream.output_marker", &offsets.output_marker, true},
        Wanted{"stream.output_end", &offsets.output_end, true}}) {
    const int64_t* value = map.offset(wanted.name);
    if (value == nullptr && wanted.necessary) return false;
    *wanted.target = value != nullptr ? *value : kNone;
  }
  bound = true;
  return true;
}

bool orb_bound() { return bound; }

bool request_of(uint64_t request_object, int* socket, uint32_t* request_id) {
  if (!bound) return false;
  *request_id = at<uint32_t>(request_object, offsets.request_id);
  if (*request_id == kNoRequestId) return false;
  const uint64_t strand = at<uint64_t>(request_object, offsets.strand);
  if (strand == 0) return false;
  const uint64_t connection = at<uint64_t>(strand, offsets.strand_connection);
  if (connection == 0) return false;
  *socket = at<int>(connection, offsets.connection_socket);
  return true;
}

bool is_stream_of(uint64_t request_object, uint64_t stream) {
  return bound && request_object != 0 &&
         request_object + static_cast<uint64_t>(offsets.stream) == stream;
}

bool is_outgoing(uint64_t strand) {
  return orb_bound() && strand != 0 && offsets.strand_address != kNone &&
         at<uint64_t>(strand, offsets.strand_address) != 0;
}

const char* operation_of(uint64_t request_object) {
  if (!orb_bound() || request_object == 0) return "";
  const char* name = at<const char*>(request_object, offsets.operation);
  return name != nullptr ? name : "";
}

bool is_limited_task(uint64_t task) {
  return orb_bound() && task != 0 && offsets.task_category != kNone &&
         offsets.task_purpose != kNone && at<int>(task, offsets.task_category) == kAnyTime &&
         at<int>(task, offsets.task_purpose) == kServerUpcall;
}

void lift_limit(uint64_t task) {
  *reinterpret_cast<int*>(task + static_cast<uint64_t>(offsets.task_category)) =
      kImmediateDispatch;
}

void* output_buffer(uint64_t stream, size_t* size_bytes) {
  *size_bytes = 0;
  if (!bound) return nullptr;
  const uint64_t begin = at<uint64_t>(stream, offsets.output_marker);
  const uint64_t end = at<uint64_t>(stream, offsets.output_end);
  *size_bytes = end > begin ? end - begin : 0;
  return reinterpret_cast<void*>(begin);
}

int rescan_error() {
  // SocketCollection::Select of omniORB takes it for a descriptor that was closed meanwhile.
  return orb_bound() ? EBADF : 0;
}

}  // namespace auxin::req
