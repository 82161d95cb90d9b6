// SPDX-License-Identifier: Apache-2.0
//
// missing_point: all state is behind a lock inside known_library, which the map that comes with
// this server calls infrastructure. So the lock that matters is not ordered.
#include "known_library.h"
#include "known_server.h"

namespace known {

class MissingPoint : public Servant {
 public:
  MissingPoint() : Servant(Mix{3, 0, 1}) {}

  CORBA::LongLong put(CORBA::Long token) override {
    linger(token);
    return journal_.append(token);
  }
  CORBA::LongLong look(CORBA::Long token) override {
    linger(token);
    return journal_.digest();
  }
  Dump* state() override { return dump_of(journal_.values()); }

 private:
  Journal journal_;
};

}  // namespace known

int main(int argc, char** argv) {
  known::MissingPoint servant;
  return known::serve(argc, argv, servant);
}
