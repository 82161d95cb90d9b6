// SPDX-License-Identifier: Apache-2.0
//
// What happens at the ORB's join points: a thread takes up a request and lays it down, and the
// lifecycle events of paper 004 are raised. Installed as the actions of the interception.
//
//   dispatcher ▸ request ▸ upcall … application … ◂ upcall ◂ request ◂ dispatcher
//
// Thread safety: the actions run on the passing thread.
#pragma once

namespace auxin::replication {

// Which of the actions are wanted.
struct RequestFlow {
  bool name_activities;   // a style orders decisions: requests become activities
  bool define_output;     // replies are compared: output buffers have no undefined bytes
};
void install_request_flow(const RequestFlow& flow);

}  // namespace auxin::replication
