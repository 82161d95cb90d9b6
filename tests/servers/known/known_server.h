// SPDX-License-Identifier: Apache-2.0
//
// What the servers of this folder share: a servant's frame, and main.
//
// A server is one class derived from Servant, and a main that calls serve(). It includes nothing
// of Auxin.
#pragma once

#include <cstdint>
#include <vector>

#include "history.h"
#include "known.hh"

namespace known {

// The numbers' bytes, for state() to return.
Dump* dump_of(const std::vector<int64_t>& values);

// Uses the processor for 0 to some 30 µs, by the token: so threads come to what follows in another
// order than they came here.
void linger(CORBA::Long token);

class Servant : public POA_known::Server {
 public:
  explicit Servant(const Mix& mix) : mix_(mix) {}

  Mix load_mix() override { return mix_; }
  CORBA::LongLong put(CORBA::Long) override { throw CORBA::NO_IMPLEMENT(); }
  CORBA::LongLong take(CORBA::Long) override { throw CORBA::NO_IMPLEMENT(); }
  CORBA::LongLong look(CORBA::Long) override { throw CORBA::NO_IMPLEMENT(); }

 private:
  const Mix mix_;
};

// Activates the servant, writes its IOR to the file after --ior (whole or not at all) and serves
// until the process is ended. Listens on the loopback interface where no -ORBendPoint says
// otherwise. Returns the exit status.
int serve(int argc, char** argv, Servant& servant);

}  // namespace known
