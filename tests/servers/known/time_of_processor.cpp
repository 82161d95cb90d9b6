// SPDX-License-Identifier: Apache-2.0
//
// time_of_processor: how much processor time the server has used is in replies, and that is each
// process's own.
#include <ctime>

#include "known_server.h"

namespace known {

class TimeOfProcessor : public Servant {
 public:
  TimeOfProcessor() : Servant(Mix{0, 0, 1}) {}

  CORBA::LongLong look(CORBA::Long token) override {
    linger(token);
    return std::clock();
  }
  Dump* state() override { return dump_of({}); }
};

}  // namespace known

int main(int argc, char** argv) {
  known::TimeOfProcessor servant;
  return known::serve(argc, argv, servant);
}
