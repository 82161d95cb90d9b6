// SPDX-License-Identifier: Apache-2.0
//
// The request-level meta-interface: what a request goes through in a server, as events.
//
//   receptionStart → requestHasBeenReceived
//     → requestBeforeApplication
//         → requestBeforeContentionPoint → requestAfterContentionPoint (any number)
//     → requestAfterApplication
//   → replyStart → replyHasBeenSent
//
// A meta-object is a class of this shape. Auxin's styles are such classes; a user's own is a shared
// object that exports `auxin_meta_object` (below) and is named in the configuration
// (`meta_object = "FILE.so"` in the section `[extension]`).
//
// Events of one request come in the order above, on whichever thread works for it; events of
// different requests come concurrently. A meta-object may block in an event (that is how an
// algorithm controls a server) but must not call the server's ORB, and its own synchronisation must
// be std::atomic or its own: it runs at the meta level.
//
// Source: Taïani, Fabre, Killijian: A multi-level meta-object protocol for fault tolerance in
// complex architectures (DSN 2005), the meta-interface and the meta-model of a request's lifecycle.
// Usable from C++17.
#ifndef AUXIN_META_REQUEST_LIFECYCLE_H
#define AUXIN_META_REQUEST_LIFECYCLE_H

#include <cstdint>

#define AUXIN_META_OBJECT_ABI 1

namespace auxin {

// The same in every replica: which request, on which logical connection, and which of the requests
// that carried this id there.
struct RequestId {
  std::uint64_t connection;  // logical connection number, from 1, in order of acceptance
  std::uint32_t request;     // the GIOP request id, as the client chose it
  std::uint32_t occurrence;  // ordinal of the request message on this connection, from 1
};

enum class ContentionKind : std::uint32_t {
  kMutex, kReadLock, kWriteLock, kSemaphore, kSpinLock, kBarrier, kOnce, kCondition, kJoinPoint
};

// A synchronisation object whose order of acquisition can change a reply or the state.
struct RequestContentionPoint {
  std::uint64_t identity;     // the same in every replica; 0 before its first ordered acquisition
  ContentionKind kind;
  std::uint32_t padding;
  const char* library;        // of the call; owned by Auxin, valid for ever
  const char* join_point;     // name in the join-point map, or ""
};

class MetaRequestLifecycle {
 public:
  virtual ~MetaRequestLifecycle() = default;

  // Communication. receptionStart: the first bytes of a request were read; requestHasBeenReceived:
  // its last. For a request that fits one read both come in the same call.
  virtual void receptionStart(const RequestId&) {}
  virtual void requestHasBeenReceived(const RequestId&) {}
  virtual void replyStart(const RequestId&) {}
  virtual void replyHasBeenSent(const RequestId&) {}

  // Control path: around the upcall into the application.
  virtual void requestBeforeApplication(const RequestId&) {}
  virtual void requestAfterApplication(const RequestId&) {}

  // Synchronisation: around the acquisition of a contention point on behalf of a request.
  virtual void requestBeforeContentionPoint(const RequestId&, const RequestContentionPoint&) {}
  virtual void requestAfterContentionPoint(const RequestId&, const RequestContentionPoint&) {}
};

}  // namespace auxin

// The entry symbol of a user's meta-object. Auxin calls it once, before the server's main, with its
// ABI version; it returns the meta-object (which lives until the process ends) or null to refuse.
extern "C" auxin::MetaRequestLifecycle* auxin_meta_object(std::uint32_t abi_version);

#endif
