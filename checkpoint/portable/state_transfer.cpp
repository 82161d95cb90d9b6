// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/portable/state_transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include <optional>

#include "checkpoint/portable/giop_call.h"

namespace auxin::checkpoint {
namespace {

constexpr int kLookMs = 50;
constexpr int64_t kCallPatienceMs = 60'000;
constexpr char kNoStateId[] = "IDL:omg.org/FT/NoStateAvailable:1.0";
constexpr char kNoUpdateId[] = "IDL:omg.org/FT/NoUpdateAvailable:1.0";

int64_t now_ns(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}
int64_t steady_ms() { return now_ns(CLOCK_MONOTONIC) / 1'000'000; }

Error of_object(const std::string& reference, const std::string& what) {
  return Error{"object " + reference.substr(0, 200) + ": " + what};
}

// One taker at a time for a file, or for some objects, in whatever process; freed with it.
class TakerLock {
 public:
  explicit TakerLock(const std::string& path)
      : path_(path + ".lock"),
        fd_(open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) {
    if (fd_ < 0 || flock(fd_, LOCK_EX | LOCK_NB) != 0) error_ = errno;
  }
  ~TakerLock() {
    if (fd_ >= 0) close(fd_);
  }
  TakerLock(const TakerLock&) = delete;
  TakerLock& operator=(const TakerLock&) = delete;
  int error() const { return error_; }
  Error refusal() const {
    return Error{path_ + ": " +
                 (error_ == EWOULDBLOCK ? "a portable image is being taken or given already"
                                        : strerror(error_))};
  }

 private:
  std::string path_;
  int fd_;
  int error_ = 0;
};

// The mark that updates may be missing from the file.
class UpdateMark {
 public:
  explicit UpdateMark(const std::string& path) : path_(path + ".updating") {}
  bool stands() const { return access(path_.c_str(), F_OK) == 0; }
  Result<bool> set() const {
    const int fd = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return Error{path_ + ": can't write: " + strerror(errno)};
    fsync(fd);
    close(fd);
    return true;
  }
  void clear() const { unlink(path_.c_str()); }

 private:
  std::string path_;
};

// Asked of an object that is there. The error says what the object is not.
Result<std::string> interface_of(const ObjectReference& object, int64_t patience_ms,
                                 CallResult* call) {
  for (const char* id : {kUpdateableId, kCheckpointableId}) {
    *call = call_object(object, "_is_a", text_parameter(id), patience_ms);
    if (call->status != CallStatus::kDone) return Error{call->text};
    auto is = boolean_result(*call);
    if (!is) return Error{is.error()};
    if (*is) return std::string(id);
  }
  return Error{"it is neither FT::Checkpointable nor FT::Updateable"};
}

// Null: this object has no update to give, and its whole state must be asked for.
Result<std::optional<Octets>> update_of(const ObjectReference& object, int64_t patience_ms) {
  const CallResult call = call_object(object, "get_update", no_parameters(), patience_ms);
  if (call.status == CallStatus::kUserException && call.exception == kNoUpdateId)
    return std::optional<Octets>();
  if (call.status != CallStatus::kDone) return Error{"get_update: " + call.text};
  auto update = octets_result(call);
  if (!update) return Error{"get_update: " + update.error()};
  return std::optional<Octets>(std::move(*update));
}

Result<Octets> state_of(const ObjectReference& object, int64_t patience_ms) {
  const CallResult call = call_object(object, "get_state", no_parameters(), patience_ms);
  if (call.status == CallStatus::kUserException && call.exception == kNoStateId)
    return Error{"it has no state to give now (NoStateAvailable)"};
  if (call.status != CallStatus::kDone) return Error{"get_state: " + call.text};
  auto state = octets_result(call);
  if (!state) return Error{"get_state: " + state.error()};
  return state;
}

bool chain_goes_on(const PortableObject& before, const std::string& id) {
  return id == kUpdateableId && before.repository_id == id &&
         before.updates.size() < kMostUpdatesInARow &&
         size_bytes_of(before) <= 2 * before.state.size();
}

Result<PortableObject> take_object(const std::string& reference, const PortableObject* before,
                                   const UpdateMark& mark, int64_t patience_ms) {
  auto object = parse_object_reference(reference);
  if (!object) return Error{object.error()};
  CallResult call;
  auto id = interface_of(*object, patience_ms, &call);
  if (!id) return of_object(reference, id.error());
  // get_state too begins the next update anew.
  if (auto set = mark.set(); !set) return Error{set.error()};
  if (before != nullptr && chain_goes_on(*before, *id)) {
    auto update = update_of(*object, patience_ms);
    if (!update) return of_object(reference, update.error());
    if (*update) {
      PortableObject taken = *before;
      taken.updates.push_back(std::move(**update));
      return taken;
    }
  }
  auto state = state_of(*object, patience_ms);
  if (!state) return of_object(reference, state.error());
  return PortableObject{reference, *id, std::move(*state), {}};
}

bool same_objects(const PortableImage& image, const std::vector<std::string>& references) {
  if (image.objects.size() != references.size()) return false;
  for (size_t i = 0; i < references.size(); ++i)
    if (image.objects[i].reference != references[i]) return false;
  return true;
}

// A server that has just been started answers with these until its objects are there.
bool may_come(const CallResult& call) {
  return call.status == CallStatus::kUnreachable ||
         call.exception.find("/OBJECT_NOT_EXIST:") != std::string::npos ||
         call.exception.find("/TRANSIENT:") != std::string::npos;
}

Result<ObjectReference> await_object(const std::string& reference, const std::string& wanted_id,
                                     int64_t deadline_ms) {
  for (;;) {
    CallResult call;
    call.status = CallStatus::kUnreachable;  // a file that is not there yet
    auto object = parse_object_reference(reference);
    std::string fault = object ? "" : object.error();
    if (object) {
      const int64_t left_ms = deadline_ms - steady_ms();
      auto id = interface_of(*object, left_ms > 1 ? left_ms : 1, &call);
      if (id && (*id == wanted_id || *id == kUpdateableId)) return object;
      fault = id ? "it is no longer FT::Updateable" : id.error();
    } else if (!reference.starts_with("file:")) {
      return Error{fault};
    }
    if (!may_come(call) || steady_ms() + kLookMs >= deadline_ms)
      return of_object(reference, fault);
    poll(nullptr, 0, kLookMs);
  }
}

Result<bool> give(const std::string& reference, const ObjectReference& object,
                  const char* operation, const Octets& octets) {
  const CallResult call =
      call_object(object, operation, octets_parameter(octets), kCallPatienceMs);
  if (call.status == CallStatus::kDone) return true;
  return of_object(reference, std::string(operation) + ": " + call.text);
}

}  // namespace

Result<PortableImage> take_portable_image(const std::string& path,
                                          const std::vector<std::string>& references,
                                          const TakingOptions& options) {
  const TakerLock lock(path);
  if (lock.error() != 0) return lock.refusal();
  const std::string notes = options.notes.empty() ? path : options.notes;
  std::optional<TakerLock> objects_lock;
  if (notes != path) {
    objects_lock.emplace(notes);
    if (objects_lock->error() != 0) return objects_lock->refusal();
  }
  const UpdateMark mark(notes);
  std::optional<PortableImage> before;
  if (!options.whole && !options.apart && !mark.stands()) {
    // One that is damaged, or of another life of the group, is replaced by whole states.
    auto read = read_portable_image(path);
    if (read && read->lineage == options.lineage && same_objects(*read, references)) before = *read;
  }
  PortableImage image;
  image.lineage = options.lineage;
  for (size_t i = 0; i < references.size(); ++i) {
    auto object = take_object(references[i], before ? &before->objects[i] : nullptr, mark,
                              options.patience_ms);
    if (!object) return Error{object.error()};
    image.objects.push_back(std::move(*object));
  }
  image.made_realtime_ns = static_cast<uint64_t>(now_ns(CLOCK_REALTIME));
  if (auto written = write_portable_image(path, image); !written) return Error{written.error()};
  if (!options.apart) mark.clear();
  return image;
}

Result<bool> deliver_portable_image(const PortableImage& image,
                                    const std::vector<std::string>& references,
                                    int64_t patience_ms, const std::string& notes) {
  std::optional<TakerLock> lock;
  if (!notes.empty()) {
    lock.emplace(notes);
    if (lock->error() != 0) return lock->refusal();
  }
  if (!references.empty() && references.size() != image.objects.size())
    return Error{"the image holds " + std::to_string(image.objects.size()) +
                 " objects, and the configuration names " + std::to_string(references.size())};
  // All are looked for before the first is changed.
  const int64_t deadline_ms = steady_ms() + patience_ms;
  std::vector<ObjectReference> objects;
  for (size_t i = 0; i < image.objects.size(); ++i) {
    const PortableObject& held = image.objects[i];
    auto object = await_object(references.empty() ? held.reference : references[i],
                               held.updates.empty() ? kCheckpointableId : kUpdateableId,
                               deadline_ms);
    if (!object) return Error{object.error()};
    objects.push_back(std::move(*object));
  }
  // Updates of the states that are given follow no image that was taken.
  if (!notes.empty()) {
    if (auto set = UpdateMark(notes).set(); !set) return set;
  }
  for (size_t i = 0; i < image.objects.size(); ++i) {
    const PortableObject& held = image.objects[i];
    const std::string& name = references.empty() ? held.reference : references[i];
    auto set = give(name, objects[i], "set_state", held.state);
    for (size_t j = 0; set && j < held.updates.size(); ++j)
      set = give(name, objects[i], "set_update", held.updates[j]);
    if (!set) {
      return Error{set.error() + "; objects that have their state: " + std::to_string(i) + " of " +
                   std::to_string(objects.size())};
    }
  }
  return true;
}

}  // namespace auxin::checkpoint
