// SPDX-License-Identifier: Apache-2.0
#include "load_options.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "teller_address.h"

namespace bank {
namespace {

LoadOptions parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "bank_load");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  return parse_load_options(static_cast<int>(argv.size()), argv.data());
}

TEST(LoadOptions, AreReadInAnyOrder) {
  const LoadOptions options = parse({"--mix", "mixed", "-ORBmaxGIOPVersion", "1.1", "127.0.0.1:80",
                                     "--seconds", "1.5", "--clients", "3", "--threads", "2",
                                     "--one-connection"});
  EXPECT_EQ(options.address, "127.0.0.1:80");
  EXPECT_EQ(options.mix, Mix::kMixed);
  EXPECT_EQ(options.duration_s, 1.5);
  EXPECT_EQ(options.thread_count(), 6u);
  EXPECT_TRUE(options.one_connection);
  EXPECT_EQ(options.orb_arguments, (std::vector<std::string>{"-ORBmaxGIOPVersion", "1.1"}));
}

TEST(LoadOptions, AreRefusedIfTheyMakeNoSense) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {},
           {"host:1"},
           {"--calls", "1"},
           {"host:1", "--calls"},
           {"host:1", "--calls", "x"},
           {"host:1", "--calls", "-1"},
           {"host:1", "--calls", "1", "--clients", "0"},
           {"host:1", "--calls", "1", "--clients", "4096"},
           {"host:1", "--calls", "1", "--shared", "1"},
           {"host:1", "--calls", "1", "--mix", "nonsense"},
           {"host:1", "--calls", "1", "--hang-seconds", "0"},
           {"host:1", "--calls", "1", "--nonsense"},
           {"host:1", "host:2", "--calls", "1"}}) {
    EXPECT_THROW(parse(arguments), std::invalid_argument) << testing::PrintToString(arguments);
  }
}

TEST(TellerUri, AsksForGiop12UnlessTheUserDoesOtherwise) {
  EXPECT_EQ(teller_uri("127.0.0.1:80"), "corbaloc::1.2@127.0.0.1:80/Bank");
  EXPECT_EQ(teller_uri("corbaloc::127.0.0.1:80/Bank"), "corbaloc::1.2@127.0.0.1:80/Bank");
  EXPECT_EQ(teller_uri("corbaloc:iiop:h:80/Bank"), "corbaloc:iiop:1.2@h:80/Bank");
  EXPECT_EQ(teller_uri("corbaloc::1.0@h:80/Bank"), "corbaloc::1.0@h:80/Bank");
  EXPECT_EQ(teller_uri("IOR:0102030405"), "IOR:0102030405");
}

}  // namespace
}  // namespace bank
